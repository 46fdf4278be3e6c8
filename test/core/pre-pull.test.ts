import { describe, expect, it } from 'vitest';
import { nextPulls } from '../../services/core/pre-pull.ts';
import { aPool } from '../director/world.ts';

const pools = ['first', 'second', 'third', 'fourth', 'fifth', 'sixth'].map((name) => ({
  ...aPool(name),
  hardware: 'gpu-t4',
  image: `registry/${name}@sha256:1`,
}));
const node = (name: string, ...images: readonly string[]) => ({
  name,
  sku: 'gpu-t4',
  images: new Set(images.map((image) => `registry/${image}@sha256:1`)),
});
const pull = (at: string, image: string) => ({
  node: at,
  sku: 'gpu-t4',
  image: `registry/${image}@sha256:1`,
});

describe('images that are pulled beforehand', () => {
  it('are the hottest that each machine lacks, one at a time', () => {
    expect(nextPulls(pools, [node('a'), node('b', 'first')], [])).toEqual([
      pull('a', 'first'),
      pull('b', 'second'),
    ]);
  });

  it('wait for the one that is under way on the same machine', () => {
    expect(nextPulls(pools, [node('a'), node('b')], [pull('a', 'first')])).toEqual([pull('b', 'first')]);
  });

  it('do not wait for one that has failed, and do not try it again', () => {
    expect(nextPulls(pools, [node('a')], [], [pull('a', 'first')])).toEqual([pull('a', 'second')]);
  });

  it('are five of a SKU and no more', () => {
    expect(nextPulls(pools, [node('a', 'first', 'second', 'third', 'fourth', 'fifth')], [])).toEqual([]);
  });

  it('are of the SKU that the machine provides, and of versions that have one', () => {
    const cpu = { name: 'c', sku: 'cpu', images: new Set<string>() };

    expect(nextPulls([...pools, aPool('folder')], [cpu], [])).toEqual([]);
  });

  it('count once where two pools have the same', () => {
    const [first] = pools;
    if (!first) throw new Error('there are six');
    const same = [first, { ...first, id: 'another' }];

    expect(nextPulls(same, [node('a', 'first')], [])).toEqual([]);
  });
});
