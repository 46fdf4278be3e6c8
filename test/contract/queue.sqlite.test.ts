import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createLine } from '../../services/ports/queue/line.ts';
import { openSqliteQueue } from '../../services/ports/queue/sqlite.ts';
import { describeQueue } from './queue.ts';

let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mimeo-queue-'));
  path = join(folder, 'queue.db');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describeQueue('SQLite', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] });
  let queue = openSqliteQueue({ path });
  return {
    queue,
    async passSeconds(seconds) {
      await vi.advanceTimersByTimeAsync(seconds * 1000);
    },
    async reopen() {
      await queue.close();
      queue = openSqliteQueue({ path });
      return queue;
    },
    async dispose() {
      await queue.close();
      vi.useRealTimers();
    },
  };
});

describe('a SQLite queue', () => {
  it('has what a killed process had sent and had received', async () => {
    const child = spawn(
      process.execPath,
      [
        '--input-type=module',
        '--eval',
        `import { openSqliteQueue } from ${JSON.stringify(
          new URL('../../services/ports/queue/sqlite.ts', import.meta.url).href,
        )};
        const queue = openSqliteQueue({ path: process.argv[1] });
        for (const jobId of ['removed', 'received', 'waiting']) await queue.send('pool', { jobId, group: 'ada' });
        await (await queue.receive('pool', { waitSeconds: 0 })).remove();
        await queue.receive('pool', { waitSeconds: 0 });
        setTimeout(() => process.stdout.write('ready'), 1);
        setInterval(() => undefined, 1000);`,
        path,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    const exited = once(child, 'exit');
    await once(child.stdout, 'data');
    expect(() => openSqliteQueue({ path })).toThrow(/Another process holds it: stop the other Mimeo/);
    child.kill('SIGKILL');
    await exited;

    const queue = openSqliteQueue({ path });
    const receive = async () => (await queue.receive('pool', { waitSeconds: 0 }))?.jobId;
    expect([await receive(), await receive(), await receive()]).toEqual(['received', 'waiting', undefined]);
    await queue.close();
  });

  it('hands over to a receiver that waits without a timer', async () => {
    const queue = openSqliteQueue({ path });
    const waiting = queue.receive('pool', { waitSeconds: 20 });
    vi.useFakeTimers();
    await queue.send('pool', { jobId: 'job', group: 'ada' });

    expect(await waiting).toMatchObject({ jobId: 'job' });
    vi.useRealTimers();
    await queue.close();
  });

  it('refuses to work once it is closed, and closes twice without complaint', async () => {
    const queue = openSqliteQueue({ path });
    await queue.close();
    await queue.close();

    await expect(queue.send('pool', { jobId: 'job', group: 'ada' })).rejects.toThrow('closed');
    await expect(queue.receive('pool', { waitSeconds: 0 })).rejects.toThrow('closed');
  });

  it('refuses a file that is no database, and says what to do', () => {
    writeFileSync(
      path,
      'not a database at all, but long enough to have a header of a hundred bytes'.repeat(4),
    );

    expect(() => openSqliteQueue({ path })).toThrow(new RegExp(`${path} .*cannot be opened: .*move it away`));
  });
});

describe('a line of messages', () => {
  it('serves groups in turn, and the oldest of a group first, whatever comes back and when', () => {
    const step = fc.oneof(
      fc.record({ type: fc.constant('add' as const), group: fc.constantFrom('a', 'b', 'c') }),
      fc.constant({ type: 'take' as const }),
      fc.record({ type: fc.constant('return' as const), pick: fc.nat() }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const line = createLine();
        const inLine = new Map<number, string>();
        const taken = new Map<number, string>();
        const turns: string[] = [];
        let nextId = 1;
        const add = (id: number, group: string) => {
          line.add({ id, message: { jobId: `job-${id}`, group } });
          inLine.set(id, group);
          if (!turns.includes(group)) turns.push(group);
        };
        for (const each of steps) {
          if (each.type === 'add') {
            add(nextId, each.group);
            nextId += 1;
          } else if (each.type === 'return') {
            const back = [...taken][each.pick % Math.max(1, taken.size)];
            if (back === undefined) continue;
            taken.delete(back[0]);
            add(...back);
          } else {
            const group = turns.shift();
            const ids = [...inLine].filter(([, of]) => of === group).map(([id]) => id);
            const expected = group === undefined ? undefined : Math.min(...ids);
            expect(line.take()?.id).toBe(expected);
            if (expected === undefined || group === undefined) continue;
            inLine.delete(expected);
            taken.set(expected, group);
            if (ids.length > 1) turns.push(group);
          }
        }
      }),
    );
  });

  it('keeps its order over thousands of messages', () => {
    const line = createLine();
    for (let id = 1; id <= 5000; id += 1) line.add({ id, message: { jobId: 'job', group: 'g' } });

    for (let id = 1; id <= 5000; id += 1) expect(line.take()?.id).toBe(id);
    expect(line.take()).toBeUndefined();
  });
});
