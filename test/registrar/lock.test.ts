import { spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { withLock } from '../../services/registrar/lock.ts';
import { temporaryFolder } from './registrar-home.ts';

test('of many holders one works at a time, and each gets its turn', async () => {
  const path = join(await temporaryFolder(), 'lock');
  let working = 0;
  let most = 0;

  const results = await Promise.all(
    [1, 2, 3, 4].map((number) =>
      withLock(path, undefined, async () => {
        most = Math.max(most, ++working);
        await new Promise(setImmediate);
        working--;
        return number;
      }),
    ),
  );

  expect(results).toEqual([1, 2, 3, 4]);
  expect(most).toBe(1);
});

test('a lock whose holder died is taken over', async () => {
  const path = join(await temporaryFolder(), 'lock');
  const { pid } = spawnSync('true');
  await writeFile(path, String(pid));

  expect(await withLock(path, undefined, async () => 'mine')).toBe('mine');
});

test('a lock of this process from before it began anew is taken over', async () => {
  const path = join(await temporaryFolder(), 'lock');
  await writeFile(path, String(process.pid));

  expect(await withLock(path, undefined, async () => 'mine')).toBe('mine');
});

test('a waiter gives up when it is aborted, and the holder goes on', async () => {
  const path = join(await temporaryFolder(), 'lock');
  const abort = new AbortController();
  const work = Promise.withResolvers<string>();
  const holding = withLock(path, undefined, () => work.promise);
  const waiting = withLock(path, abort.signal, async () => 'never');

  abort.abort(new Error('enough'));

  await expect(waiting).rejects.toThrow('enough');
  work.resolve('held to the end');
  expect(await holding).toBe('held to the end');
});

test('a failure frees the lock', async () => {
  const path = join(await temporaryFolder(), 'lock');

  await expect(withLock(path, undefined, () => Promise.reject(new Error('broken')))).rejects.toThrow(
    'broken',
  );

  expect(await withLock(path, undefined, async () => 'next')).toBe('next');
});
