import { z } from 'zod';
import { type Instance, instanceSchema, type Pool, type PoolState, poolSchema } from './pool.ts';

/** How far apart two looks at a pool may be for the later one to say when an instance went away. */
const seenWithinMs = 60_000;

/** One instance from its start to its end, as its director saw it: what cold starts and instance time are read from. */
export const instanceRecordSchema = poolSchema
  .pick({ account: true, model: true, version: true, hardware: true })
  .extend({
    id: z.string(),
    pool: z.string(),
    /** Epoch ms, as all times here. */
    startedAt: z.number(),
    readyAt: z.number().nullable(),
    /** null while it is there. */
    endedAt: z.number().nullable(),
    /** Each phase that it was seen in, and since when. */
    phases: z.array(z.object({ phase: instanceSchema.shape.phase, at: z.number() })),
    failure: instanceSchema.shape.failure,
  });
export type InstanceRecord = z.infer<typeof instanceRecordSchema>;

/** What a look at a pool says that the look before did not: instances that are new, in another phase, or gone. */
export function changedInstances(
  before: PoolState | undefined,
  now: PoolState,
): { readonly seen: readonly Instance[]; readonly gone: readonly Instance[] } {
  const known = new Map(before?.instances.map((instance) => [instance.id, instance]));
  const present = new Set(now.instances.map(({ id }) => id));
  return {
    seen: now.instances.filter((instance) => {
      const last = known.get(instance.id);
      return last?.phase !== instance.phase || last.readyAt !== instance.readyAt;
    }),
    gone: [...known.values()].filter(({ id }) => !present.has(id)),
  };
}

/** A record after its instance was seen at a moment. The same look twice says the same. */
export function seen(
  record: InstanceRecord | undefined,
  pool: Pool,
  instance: Instance,
  at: number,
): InstanceRecord {
  const { id, phase, startedAt, readyAt, failure } = instance;
  const { account, model, version, hardware } = pool;
  const phases = record?.phases ?? [];
  // Who looks first may find it in a phase that it has been in since its start.
  const since = phases.length === 0 ? startedAt : phase === 'ready' ? (readyAt ?? at) : at;
  return {
    ...{ id, pool: pool.id, account, model, version, hardware, startedAt, readyAt, failure },
    // Whoever says that it is gone and is contradicted was late.
    endedAt: null,
    phases: phases.at(-1)?.phase === phase ? phases : [...phases, { phase, at: since }],
  };
}

/**
 * When an instance that is gone ended: what nobody has seen of it does not count, as where no director looked for a while.
 * One that drains is looked at until it is gone.
 */
export function endOf(instance: Instance, before: PoolState, now: PoolState): number {
  const isSure = instance.phase === 'draining' || now.at - before.at <= seenWithinMs;
  return isSure ? now.at : before.at;
}
