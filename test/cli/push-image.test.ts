import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { envOf, mimeo, newFolder, start } from './command.ts';
import { answer, type ContractServer, type Handler, problem, startServer } from './contract-server.ts';
import { textOutput, version, versionId } from './model.ts';
import { type Programs, programs } from './programs.ts';

const registry = '123456789012.dkr.ecr.eu-central-1.amazonaws.com';
const pushed = version({ text: { type: 'string' } }, textOutput, ['text']);
const digest = `sha256:${versionId}`;

const imageServer: Readonly<Record<string, Handler>> = {
  'GET /registry': (_request, response) => answer(response, 200, { accepts: 'image', max_source_bytes: 0 }),
  'GET /models/ada/echo': (_request, response) => answer(response, 200, { owner: 'ada', name: 'echo' }),
  'POST /registry/token': (_request, response) =>
    answer(response, 200, {
      registry,
      username: 'AWS',
      password: 'the password',
      created_at: '2026-11-21T09:30:00.000000Z',
      expires_at: '2026-11-21T10:30:00.000000Z',
      repository_prefix: 'mimeo/ada',
    }),
  [`GET /models/ada/echo/versions/${versionId}`]: (_request, response) => answer(response, 200, pushed),
};

async function cogFolder(): Promise<string> {
  const folder = await newFolder();
  await writeFile(join(folder, 'cog.yaml'), 'run: run.py:Runner\n');
  return folder;
}

/** Answers as the server does once it has been told of the push whose tag Cog was called with. */
function becomes(made: Programs, fate: object): Handler {
  let looks = 0;
  const one = { digest, created_at: '2026-11-21T09:30:00.000000Z', reason: null, version: null, ...fate };
  return async (_request, response) => {
    const tag = /:(push-[\w-]+)\]/.exec((await made.calls()).join('\n'))?.[1];
    const older = { ...one, tag: 'latest', digest: `sha256:${'0'.repeat(64)}` };
    looks += 1;
    answer(response, 200, {
      next: null,
      previous: null,
      results: looks > 1 ? [{ ...one, tag }, older] : [older],
    });
  };
}

const env = (server: ContractServer, made: Programs) => ({ ...envOf(server), ...made.env });

test('builds and pushes with Cog and the account’s own login, and waits for the version', async () => {
  const made = await programs({ cog: 'pwd; echo "to stderr: [$MIMEO_API_TOKEN]" >&2' });
  const folder = await cogFolder();
  const server = await startServer({
    ...imageServer,
    'GET /models/ada/echo/pushes': becomes(made, { status: 'registered', version: versionId }),
  });

  const ended = await mimeo(['push', folder, 'ada/echo', '--json'], { env: env(server, made) });

  expect(ended.code, ended.stderr).toBe(0);
  expect(JSON.parse(ended.stdout)).toEqual(pushed);
  const [, , , push] = await made.calls();
  const image = new RegExp(
    `^cog\\[push\\]\\[(${registry}/mimeo/ada/echo:push-[0-9a-z]+-[0-9a-f]{8})\\]$`,
  ).exec(push ?? '');
  expect(await made.calls()).toEqual([
    'docker[version][--format][{{.Server.Version}}]',
    'cog[--version]',
    `docker[login][--username][AWS][--password-stdin][${registry}]`,
    `cog[push][${image?.[1]}]`,
  ]);
  expect(await made.stdin()).toBe('the password');
  const said = ended.stderr.split('\n');
  expect(said).toContain(`cog push ${image?.[1]}`);
  expect(said).toContain(folder);
  expect(said).toContain('to stderr: []');
  expect(said).toContain('waiting for the image to become a version');
  expect(said).toContain(`New version: ada/echo:${versionId}`);
  expect(ended.stderr + ended.stdout).not.toContain('the password');
});

test('--gpu-memory becomes a label of the image', async () => {
  const made = await programs({ docker: '[ "$1" != build ] || /bin/cat >&2' });
  const server = await startServer({
    ...imageServer,
    'GET /models/ada/echo/pushes': becomes(made, { status: 'registered', version: versionId }),
  });

  const words = ['push', await cogFolder(), 'ada/echo', '--gpu-memory', '24'];
  const ended = await mimeo(words, { env: env(server, made) });

  expect(ended.code, ended.stderr).toBe(0);
  const [, , , build, label, push] = await made.calls();
  const image = /^cog\[build\]\[--tag\]\[(.*)\]$/.exec(build ?? '')?.[1];
  expect(label).toBe(
    `docker[build][--platform][linux/amd64][--label][dev.mimeo.gpu-memory-gb=24][--tag][${image}][-]`,
  );
  expect(push).toBe(`docker[push][${image}]`);
  expect(ended.stderr).toContain(`FROM ${image}\n`);
});

test('an image that was a version before is told apart', async () => {
  const made = await programs();
  const server = await startServer({
    ...imageServer,
    [`GET /models/ada/echo/versions/${versionId}`]: (_request, response) =>
      answer(response, 200, { ...pushed, created_at: '2026-11-21T09:29:59.999000Z' }),
    'GET /models/ada/echo/pushes': becomes(made, { status: 'registered', version: versionId }),
  });

  const ended = await mimeo(['push', await cogFolder(), 'ada/echo'], { env: env(server, made) });

  expect(ended.stderr).toContain(`This version was there already: ada/echo:${versionId}`);
});

test('an image that is refused ends with the reason', async () => {
  const made = await programs();
  const server = await startServer({
    ...imageServer,
    'GET /models/ada/echo/pushes': becomes(made, { status: 'refused', reason: 'It is no image of Cog’s.' }),
  });

  const ended = await mimeo(['push', await cogFolder(), 'ada/echo'], { env: env(server, made) });

  expect(ended.code).toBe(1);
  expect(ended.stderr).toContain('The image was refused: It is no image of Cog’s.');
});

test.each([
  ['no Docker', { docker: null }, 'There is no docker on the PATH'],
  [
    'a Docker that does not run',
    { docker: 'echo "Cannot connect to the daemon"; exit 1' },
    'Docker does not answer: Cannot connect',
  ],
  ['no Cog', { cog: null }, 'There is no cog on the PATH'],
])('%s: says so before anything is made', async (_what, scripts, message) => {
  const made = await programs(scripts);
  const server = await startServer(imageServer);

  const ended = await mimeo(['push', await cogFolder(), 'ada/echo'], { env: env(server, made) });

  expect(ended.code).toBe(2);
  expect(ended.stderr).toContain(message);
  expect(server.received.map(({ method, path }) => `${method} ${path}`)).toEqual(['GET /registry']);
});

test.each([
  [
    'a login that Docker refuses',
    { docker: 'if [ "$1" = login ]; then echo denied >&2; exit 1; fi' },
    `Docker could not log in to ${registry}: denied`,
  ],
  [
    'a build that fails',
    { cog: 'if [ "$1" = push ]; then exit 3; fi' },
    'Cog could not build and push the image (exit code 3)',
  ],
])('%s: nothing is waited for', async (_what, scripts, message) => {
  const made = await programs(scripts);
  const server = await startServer(imageServer);

  const ended = await mimeo(['push', await cogFolder(), 'ada/echo'], { env: env(server, made) });

  expect(ended.code).toBe(1);
  expect(ended.stderr).toContain(message);
  expect(server.received.some(({ path }) => path.endsWith('/pushes'))).toBe(false);
});

test('a model of somebody else, and a name that no registry takes, are refused', async () => {
  const made = await programs();
  const server = await startServer({
    ...imageServer,
    'GET /models/bob/echo': (_request, response) => answer(response, 200, { owner: 'bob', name: 'echo' }),
  });

  const theirs = await mimeo(['push', await cogFolder(), 'bob/echo'], { env: env(server, made) });
  const odd = await mimeo(['push', await cogFolder(), 'ada/my--echo'], { env: env(server, made) });

  expect(theirs).toMatchObject({ code: 2, stderr: expect.stringContaining('not to models of bob') });
  expect(odd).toMatchObject({ code: 2, stderr: expect.stringContaining('"my--echo" cannot be part of') });
  expect((await made.calls()).filter((call) => call.startsWith('cog[push]'))).toEqual([]);
});

test('Ctrl-C ends Cog as well', async () => {
  const made = await programs({
    cog: 'if [ "$1" = push ]; then trap "echo ended >> $MIMEO_TEST_NOTES; exit 1" TERM; echo building; while :; do :; done; fi',
  });
  const server = await startServer(imageServer);
  const running = start(['push', await cogFolder(), 'ada/echo'], { env: env(server, made) });
  await expect.poll(() => running.soFar.stderr, { timeout: 20_000 }).toContain('building');

  running.child.kill('SIGINT');

  expect((await running.ended).code).toBe(130);
  expect((await made.calls()).at(-1)).toBe('ended');
});

test('registry login lets Docker push, and says how', async () => {
  const made = await programs({ cog: null });
  const server = await startServer(imageServer);

  const ended = await mimeo(['registry', 'login'], { env: env(server, made) });

  expect(ended).toMatchObject({ code: 0, stdout: '' });
  expect(await made.calls()).toContain(`docker[login][--username][AWS][--password-stdin][${registry}]`);
  expect(await made.stdin()).toBe('the password');
  expect(ended.stderr).toContain(`Docker is logged in to ${registry} until 2026-11-21T10:30:00Z.`);
  expect(ended.stderr).toContain(`cog push ${registry}/mimeo/ada/NAME`);
});

test('registry login against a server without a registry says what it takes', async () => {
  const made = await programs();
  const server = await startServer({
    'POST /registry/token': (_request, response) =>
      problem(
        response,
        404,
        'not_found',
        'This server has no container registry: it makes versions of folders.',
      ),
  });

  const ended = await mimeo(['registry', 'login'], { env: env(server, made) });

  expect(ended).toMatchObject({ code: 1, stderr: expect.stringContaining('it makes versions of folders') });
});

test('pushes shows what became of each', async () => {
  const one = { digest, tag: 'v1', created_at: '2026-11-21T09:30:00.000000Z' };
  const results = [
    { ...one, status: 'refused', version: null, reason: 'It is for linux/arm64.' },
    { ...one, tag: null, status: 'registered', version: versionId, reason: null },
  ];
  const server = await startServer({
    'GET /models/ada/echo/pushes': (_request, response) =>
      answer(response, 200, { next: null, previous: null, results }),
    'GET /models/ada/none/pushes': (_request, response) =>
      answer(response, 200, { next: null, previous: null, results: [] }),
  });

  const plain = await mimeo(['pushes', 'ada/echo'], { env: envOf(server) });
  const json = await mimeo(['pushes', 'ada/echo', '--json'], { env: envOf(server) });
  const none = await mimeo(['pushes', 'ada/none'], { env: envOf(server) });

  expect(plain.stdout.split('\n')).toEqual([
    `2026-11-21T09:30:00Z  refused     v1  ${digest}`,
    '  It is for linux/arm64.',
    `2026-11-21T09:30:00Z  registered  -   ${digest}`,
    `  version ${versionId}`,
    '',
  ]);
  expect(JSON.parse(json.stdout)).toEqual(results);
  expect(none.stdout).toContain('No image was pushed for ada/none');
});
