import { expect, test } from 'vitest';
import type { InstancePhase } from '../../services/core/pool.ts';
import { emptyMemory, remember, type ScalingMemory } from '../../services/core/scaling-memory.ts';
import { anInstance } from './instances.ts';

/** What is remembered of an instance that was started at 0 and is seen in these phases at these seconds. */
function seen(...looks: readonly (readonly [InstancePhase, number])[]): ScalingMemory {
  return looks.reduce<ScalingMemory>((memory, [phase, second]) => {
    const readyAt = phase === 'ready' ? second * 1000 : null;
    const instance = { ...anInstance({ phase, id: 'one' }), startedAt: 0, readyAt };
    return remember(memory, [instance], second * 1000);
  }, emptyMemory);
}

test('a start is remembered by its phases', () => {
  const memory = seen(['node', 1], ['node', 40], ['image', 60], ['setup', 90], ['setup', 95], ['ready', 100]);

  expect(memory.boots).toEqual([{ node: 60, image: 30, weights: 0, setup: 10 }]);
  expect(memory.setupSeconds).toEqual([100]);
  expect(memory.booting).toEqual([]);
});

test('since when an instance is in its phase is known on its way', () => {
  expect(seen(['setup', 5]).booting).toMatchObject([{ id: 'one', phase: 'setup', since: 0 }]);
  expect(seen(['node', 1], ['image', 60], ['image', 70]).booting).toMatchObject([
    { phase: 'image', since: 60_000, spent: { node: 60 } },
  ]);
});

test('a start that nobody saw on its way counts as a whole alone', () => {
  const memory = seen(['ready', 100]);

  expect(memory).toMatchObject({ setupSeconds: [100], boots: [] });
});

test('a start that fails tells nothing of how long starts take', () => {
  expect(seen(['image', 10], ['failed', 20])).toMatchObject({ setupSeconds: [], boots: [], booting: [] });
});

test('the last twenty starts are remembered', () => {
  let memory = emptyMemory;
  for (let second = 1; second <= 25; second += 1) {
    const id = `instance-${second}`;
    const booting = { ...anInstance({ phase: 'setup', id }), startedAt: 0 };
    memory = remember(memory, [booting], 0);
    memory = remember(memory, [{ ...booting, phase: 'ready', readyAt: second * 1000 }], second * 1000);
  }

  expect(memory.boots).toHaveLength(20);
  expect(memory.boots.at(-1)?.setup).toBe(25);
});
