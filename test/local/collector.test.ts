import { access, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { newHome, type TestHome } from '../support/local-server.ts';

let home: TestHome;
beforeAll(async () => {
  home = await newHome();
});
afterAll(async () => home.remove());

const versions = async () => (await readdir(join(home.path, 'versions'))).sort();

test('a version that was deleted frees its disk, also where the platform was killed before it could', async () => {
  const first = await home.start();
  const kept = await first.push('test/models/noop');
  const gone = await first.push('test/models/file-out');
  const before = await versions();
  expect(before).toEqual(expect.arrayContaining([kept.version, gone.version]));
  const path = `/models/${gone.model}/versions/${gone.version}`;
  expect((await first.call('DELETE', path)).status).toBe(202);
  await first.kill();

  const second = await home.start();

  await expect.poll(versions, { timeout: 10_000 }).toEqual(before.filter((id) => id !== gone.version));
  await expect.poll(async () => readdir(join(home.path, 'tmp'))).toEqual([]);
  await access(join(home.path, 'versions', kept.version, 'version.json'));
  const again = await second.push('test/models/file-out');
  expect(again.version).toBe(gone.version);
  const input = { text: 'a', name: 'a.txt' };
  const run = await second.json('POST', `/models/${again.model}/predictions`, { input }, { prefer: 'wait' });
  expect(run.status).toBe('succeeded');
});
