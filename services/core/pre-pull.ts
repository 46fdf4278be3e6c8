import type { Pool } from './pool.ts';

/** Versions of one SKU whose images are kept on its machines, those used last. */
const hotVersions = 5;
/** Images that one machine pulls beforehand at a time: they share its network with instances that start. */
const pullsAtOnce = 1;

/** A machine as far as images go. */
export interface ImageNode {
  readonly name: string;
  /** The SKU that it provides. */
  readonly sku: string;
  /** References of the images that are on its disk, as its kubelet lists them. */
  readonly images: ReadonlySet<string>;
}

/** An image that is to be on a machine before anybody waits for it. */
export interface Pull {
  readonly node: string;
  readonly sku: string;
  readonly image: string;
}

/**
 * Which images to pull next, so that an instance that starts on a warm machine need not wait for its image: for each
 * machine the hottest one of its SKU that it lacks.
 * @param pools of versions with images, the one that was used last first
 * @param underway pulls that have been begun
 * @param failed pulls that are not to be tried again yet
 */
export function nextPulls(
  pools: readonly Pool[],
  nodes: readonly ImageNode[],
  underway: readonly Pull[],
  failed: readonly Pull[] = [],
): readonly Pull[] {
  const hot = Map.groupBy(
    pools.filter(({ image }) => image !== undefined),
    ({ hardware }) => hardware,
  );
  return nodes.flatMap(({ name, sku, images }) => {
    const tried = [...underway, ...failed].filter(({ node }) => node === name).map(({ image }) => image);
    const room = pullsAtOnce - underway.filter(({ node }) => node === name).length;
    const wanted = new Set((hot.get(sku) ?? []).slice(0, hotVersions).flatMap(({ image }) => image ?? []));
    const missing = [...wanted].filter((image) => !images.has(image) && !tried.includes(image));
    return missing.slice(0, Math.max(0, room)).map((image) => ({ node: name, sku, image }));
  });
}
