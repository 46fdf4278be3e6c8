import { describe, expect, it } from 'vitest';
import { changedInstances, endOf, seen } from '../../services/core/instance-record.ts';
import type { Instance, PoolState } from '../../services/core/pool.ts';
import { aPool } from '../director/world.ts';

const pool = aPool('painter');

function instance(different: Partial<Instance> = {}): Instance {
  return {
    id: 'i-1',
    pool: pool.id,
    phase: 'setup',
    startedAt: 1000,
    readyAt: null,
    running: 0,
    idleSince: null,
    failure: null,
    setupLogs: '',
    ...different,
  };
}

function look(at: number, instances: readonly Instance[]): PoolState {
  const state = { pool: pool.id, at, desired: 1, reason: '', breaker: null, setupSeconds: [] };
  return { ...state, instances: [...instances] };
}

describe('what has changed between two looks', () => {
  it('is all there is at the first', () => {
    expect(changedInstances(undefined, look(1, [instance()]))).toEqual({ seen: [instance()], gone: [] });
  });

  it('is a phase, and not what an instance has to do', () => {
    const before = look(1, [instance({ phase: 'ready', readyAt: 2 }), instance({ id: 'i-2' })]);
    const busy = instance({ phase: 'ready', readyAt: 2, running: 1 });
    const ready = instance({ id: 'i-2', phase: 'ready', readyAt: 3 });

    expect(changedInstances(before, look(4, [busy, ready]))).toEqual({ seen: [ready], gone: [] });
  });

  it('is what is gone', () => {
    expect(changedInstances(look(1, [instance()]), look(2, []))).toEqual({ seen: [], gone: [instance()] });
  });
});

describe('a record', () => {
  it('holds each phase with the moment from which on it was seen', () => {
    let record = seen(undefined, pool, instance({ phase: 'node' }), 1500);
    record = seen(record, pool, instance({ phase: 'image' }), 3000);
    record = seen(record, pool, instance({ phase: 'ready', readyAt: 4000 }), 4200);

    expect(record).toMatchObject({ model: 'acme/painter', startedAt: 1000, readyAt: 4000, endedAt: null });
    expect(record.phases).toEqual([
      { phase: 'node', at: 1000 },
      { phase: 'image', at: 3000 },
      { phase: 'ready', at: 4000 },
    ]);
  });

  it('says the same where it is told the same twice', () => {
    const once = seen(undefined, pool, instance(), 1500);

    expect(seen(once, pool, instance(), 9000)).toEqual(once);
  });
});

it('an instance that was gone and is seen again has not ended', () => {
  const once = seen(undefined, pool, instance({ phase: 'ready', readyAt: 2 }), 1500);

  expect(
    seen({ ...once, endedAt: 2000 }, pool, instance({ phase: 'ready', readyAt: 2 }), 3000).endedAt,
  ).toBeNull();
});

describe('the end of an instance', () => {
  it('is when it was missed, soon after it was seen', () => {
    expect(endOf(instance({ phase: 'ready' }), look(10_000, []), look(70_000, []))).toBe(70_000);
  });

  it('is when it was last seen, where nobody looked for long', () => {
    expect(endOf(instance({ phase: 'ready' }), look(10_000, []), look(70_001, []))).toBe(10_000);
  });

  it('is when it was missed where it drained, however long that took', () => {
    expect(endOf(instance({ phase: 'draining' }), look(10_000, []), look(900_000, []))).toBe(900_000);
  });
});
