import type { Logger } from 'pino';
import type { JobFlow } from '../data/job-flow.ts';
import type { Models } from '../data/models.ts';
import type { Pools } from '../data/pools.ts';
import type { SourceRegistrar } from '../registrar/source.ts';
import { repeat } from '../sweeper/app.ts';

interface Parts {
  readonly registrar: Pick<SourceRegistrar, 'collector'>;
  readonly models: Models;
  readonly pools: Pools;
  readonly flow: JobFlow;
  readonly fleet: { versions(): ReadonlySet<string> };
  /** Epoch ms. */
  readonly now: () => number;
  readonly logger: Logger;
}

/** How often it is looked for what nobody needs any more. */
const everyMs = 60_000;

/** Frees disk space now and from then on. Returns a function that stops it. */
export function startCollector(parts: Parts): () => Promise<void> {
  const first = collectVersions(parts).catch((error: unknown) =>
    parts.logger.error({ err: error }, 'disk space could not be freed'),
  );
  const collect = async () => {
    await first;
    await collectVersions(parts);
  };
  const stop = repeat(everyMs, collect, parts.logger);
  return async () => {
    await Promise.all([first, stop()]);
  };
}

/** Frees the disk of versions that no model has any more, once the last of their predictions has ended. */
async function collectVersions(parts: Parts): Promise<void> {
  const { registrar, models, fleet, logger } = parts;
  const removed = await registrar.collector.collect({
    fateOf: async (id) => models.fateOfVersion(id),
    isInUse: async (id) => fleet.versions().has(id) || (await hasUnfinished(parts, id)),
  });
  for (const err of removed.failures) logger.warn({ err }, 'something could not be removed from the disk');
  if (removed.versions.length + removed.environments.length > 0)
    logger.info({ ...removed, failures: undefined }, 'freed disk space');
}

/** What runs as its version is deleted goes on to its end, also where its instance is lost. */
async function hasUnfinished({ pools, flow, now }: Parts, version: string): Promise<boolean> {
  for (const pool of await pools.active(now())) {
    if (pool.version !== version) continue;
    const { jobs } = flow;
    if ((await jobs.count(pool.id, 'queued', 1)) + (await jobs.count(pool.id, 'running', 1)) > 0) return true;
  }
  return false;
}
