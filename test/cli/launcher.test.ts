import { spawnSync } from 'node:child_process';
import { cp, mkdir, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect, test, vi } from 'vitest';
import packageJson from '../../package.json' with { type: 'json' };
import { bin, envOf, mimeo, newFolder, start } from './command.ts';
import { startServer } from './contract-server.ts';
import { modelRoutes, predictionId, textOutput, version } from './model.ts';

/** Makes this Node say that it is an older one. */
const asNode20 = [
  '--import',
  'data:text/javascript,Object.defineProperty(process,"versions",{value:{...process.versions,node:"20.1.0"}})',
];

test('under a Node that is too old, the one that npm install brought runs the command', async () => {
  const ended = await mimeo(['--version'], { nodeOptions: asNode20 });

  expect(ended).toEqual({ code: 0, stdout: `${packageJson.version}\n`, stderr: '' });
});

test('the exit code and a signal pass through it', async () => {
  const server = await startServer(modelRoutes(version({}, textOutput), {}, { status: 'processing' }));

  const wrong = await mimeo(['frobnicate'], { nodeOptions: asNode20 });
  const running = start(['run', 'ada/echo'], { nodeOptions: asNode20, env: envOf(server) });
  await vi.waitFor(
    () => expect(server.received.some(({ path }) => path === `/predictions/${predictionId}`)).toBe(true),
    20_000,
  );
  running.child.kill('SIGTERM');

  expect(wrong).toMatchObject({ code: 2 });
  expect((await running.ended).code).toBe(143);
  expect(server.received.at(-1)?.path).toBe(`/predictions/${predictionId}/cancel`);
});

test('where there is no other Node, one line says what to do', async () => {
  const copy = join(await newFolder(), 'services/cli');
  await mkdir(copy, { recursive: true });
  await cp(bin, join(copy, 'mimeo.mjs'));

  const ended = spawnSync(process.execPath, [...asNode20, join(copy, 'mimeo.mjs')], { encoding: 'utf8' });

  expect(ended).toMatchObject({
    status: 2,
    stdout: '',
    stderr:
      'mimeo: this is Node 20.1.0; Mimeo needs Node 22.18 or newer. ' +
      'Run npm install in the folder of Mimeo: it brings one along.\n',
  });
});

test('a link to the command works from anywhere', async () => {
  const folder = await newFolder();
  await symlink(bin, join(folder, 'mimeo'));

  const PATH = `${dirname(process.execPath)}:${process.env.PATH}`;
  const ended = spawnSync(join(folder, 'mimeo'), ['--version'], {
    cwd: '/',
    encoding: 'utf8',
    env: { PATH },
  });

  expect(ended).toMatchObject({ status: 0, stdout: `${packageJson.version}\n` });
});

test.each([[[]], [['init']], [['login']], [['push']], [['run']]])(
  '%j --help shows examples',
  async (words) => {
    const ended = await mimeo([...words, '--help']);

    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(ended.stdout).toMatch(/Examples:\n {2}\$ npx mimeo/);
  },
);
