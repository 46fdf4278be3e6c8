import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import type { LaunchSpec } from '../../services/core/launch.ts';
import type { BuiltVersion } from '../../services/core/version.ts';
import { defaultCogVersion } from '../../services/registrar/environment.ts';
import { packFolder } from '../../services/registrar/pack.ts';
import { SourceRegistrar } from '../../services/registrar/source.ts';
import { example, temporaryFolder, temporaryHome, testModel } from './registrar-home.ts';

async function build(
  registrar: SourceRegistrar,
  folder: string,
  messages: string[] = [],
): Promise<BuiltVersion> {
  const { stream } = await packFolder(folder);
  return await registrar.build(stream, { onProgress: (message) => messages.push(message) });
}

/** A copy of a test model with some of its files written anew. */
async function changedModel(name: string, files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await temporaryFolder();
  await cp(testModel(name), folder, { recursive: true });
  for (const [path, content] of Object.entries(files)) await writeFile(join(folder, path), content);
  return folder;
}

describe('build', () => {
  test('a folder becomes a version, and the same folder is the same version', async () => {
    const home = await temporaryHome();
    const registrar = new SourceRegistrar({ home });
    const messages: string[] = [];

    const first = await build(registrar, example('hello-world'), messages);
    const second = await build(new SourceRegistrar({ home }), example('hello-world'));

    expect(first).toMatchObject({ cogVersion: defaultCogVersion, concurrency: 1, warnings: [] });
    expect(first.id).toMatch(/^[0-9a-f]{64}$/);
    expect(first.readme).toMatch(/^# /);
    expect(second).toEqual(first);
    expect(messages).toContain('reading the inputs and output of run.py:Runner');
    expect(await readdir(join(home, 'versions'))).toEqual([first.id]);
    expect(await readdir(join(home, 'tmp'))).toEqual([]);
  });

  test.each(['stream', 'hello-world'])('the example %s builds without a warning', async (name) => {
    const built = await build(new SourceRegistrar({ home: await temporaryHome() }), example(name));

    expect(built.warnings).toEqual([]);
  });

  test('two who push the same folder at once get the same version', async () => {
    const home = await temporaryHome();
    const registrar = new SourceRegistrar({ home });

    const [one, two] = await Promise.all([
      build(registrar, testModel('noop')),
      build(registrar, testModel('noop')),
    ]);

    expect(one).toEqual(two);
    expect(await readdir(join(home, 'tmp'))).toEqual([]);
  });

  test('the model server is told to stream whatever the model says, the schema of the version is not', async () => {
    const home = await temporaryHome();

    const built = await build(new SourceRegistrar({ home }), testModel('noop'));

    const served = JSON.parse(
      await readFile(join(home, 'versions', built.id, 'src', '.cog', 'openapi_schema.json'), 'utf8'),
    );
    expect(served.paths['/predictions'].post['x-cog-streaming']).toBe(true);
    delete served.paths['/predictions'].post['x-cog-streaming'];
    expect(served).toEqual(built.openapiSchema);
  });

  test.each([
    ['bad-import', /^run\.py:1: ModuleNotFoundError: .*a_package_that_is_not_there.*add it to/],
    ['bad-type', /^run\.py:5: input pairs: Cog cannot take tuple\[int, int\]/],
  ])('%s is refused with file and line, and nothing is left behind', async (name, message) => {
    const home = await temporaryHome();

    await expect(build(new SourceRegistrar({ home }), testModel(name))).rejects.toMatchObject({
      code: 'invalid_model',
      message: expect.stringMatching(message),
    });
    expect((await readdir(home)).sort()).toEqual(['environments', 'tmp']);
    expect(await readdir(join(home, 'tmp'))).toEqual([]);
  });

  test('a file that cog.yaml names and the folder lacks is told before anything is installed', async () => {
    const folder = await changedModel('noop', { 'cog.yaml': 'run: other.py:Runner' });
    const messages: string[] = [];

    await expect(
      build(new SourceRegistrar({ home: await temporaryHome() }), folder, messages),
    ).rejects.toThrow('cog.yaml: there is no other.py in the folder');
    expect(messages).toEqual(['unpacking']);
  });

  test('an archive without cog.yaml is refused', async () => {
    const registrar = new SourceRegistrar({ home: await temporaryHome() });

    await expect(
      registrar.build(Readable.from([Buffer.alloc(1024)]), { onProgress: () => {} }),
    ).rejects.toMatchObject({ code: 'invalid_model' });
  });

  test('what this machine does not give is a warning, which is kept', async () => {
    const cogYaml = 'run: run.py:Runner\nbuild:\n  python_version: "3.98"\n  system_packages: [ffmpeg]\n';
    const registrar = new SourceRegistrar({ home: await temporaryHome() });
    const folder = await changedModel('noop', { 'cog.yaml': cogYaml });

    const built = await build(registrar, folder);

    expect(built.warnings).toEqual([
      expect.stringContaining('ffmpeg'),
      expect.stringMatching(/asks for Python 3\.98, which is not on PATH; Python 3\.\d+\.\d+ is used/),
    ]);
    expect((await build(registrar, folder)).warnings).toEqual(built.warnings);
  });

  test.each([
    ['@cog.concurrent(max=3)', '', 3],
    ['@cog.concurrent(max=3)', 'concurrency:\n  max: 5\n', 5],
    ['', 'concurrency:\n  max: 2\n', 2],
    ['', '', 1],
  ])('%j and %j run %s at once', async (decorator, cogYaml, concurrency) => {
    const folder = await changedModel('noop', {
      'cog.yaml': `run: run.py:Runner\n${cogYaml}`,
      'run.py': `import cog\nclass Runner(cog.BaseRunner):\n    ${decorator}\n    async def run(self) -> str:\n        return ""\n`,
    });

    const built = await build(new SourceRegistrar({ home: await temporaryHome() }), folder);

    expect(built.concurrency).toBe(concurrency);
  });

  test('more than one at once needs async code', async () => {
    const folder = await changedModel('noop', { 'cog.yaml': 'run: run.py:Runner\nconcurrency:\n  max: 2\n' });

    await expect(build(new SourceRegistrar({ home: await temporaryHome() }), folder)).rejects.toThrow(
      'run.py:Runner runs 2 predictions at once only as `async def`',
    );
  });

  test('an abort leaves nothing behind', async () => {
    const home = await temporaryHome();
    const abort = new AbortController();
    const { stream } = await packFolder(testModel('noop'));
    const onProgress = (message: string) => {
      if (message.startsWith('reading')) abort.abort(new Error('closed the lid'));
    };

    await expect(
      new SourceRegistrar({ home }).build(stream, { onProgress, signal: abort.signal }),
    ).rejects.toThrow('closed the lid');
    expect(await readdir(join(home, 'tmp'))).toEqual([]);
    expect(await readdir(home)).not.toContain('versions');
  });

  test('what a process left that died in the middle is cleared away', async () => {
    const home = await temporaryHome();
    await mkdir(join(home, 'tmp', 'build-999999999-abc', 'src'), { recursive: true });
    await mkdir(join(home, 'tmp', `build-${process.ppid}-abc`));

    await build(new SourceRegistrar({ home }), testModel('noop'));

    expect(await readdir(join(home, 'tmp'))).toEqual([`build-${process.ppid}-abc`]);
  });
});

describe('launch', () => {
  test('a version that was not built here is not found', async () => {
    const registrar = new SourceRegistrar({ home: await temporaryHome() });

    await expect(registrar.launch('0'.repeat(64))).rejects.toMatchObject({ code: 'not_found' });
    await expect(registrar.launch('../../etc')).rejects.toMatchObject({ code: 'not_found' });
  });

  test('the model sees its own variables and no credentials', async () => {
    vi.stubEnv('HF_TOKEN', 'secret');
    onTestFinished(() => {
      vi.unstubAllEnvs();
    });
    const registrar = new SourceRegistrar({ home: await temporaryHome() });

    const { env, args, command } = await registrar.launch(
      (await build(registrar, testModel('setup-slow'))).id,
    );

    expect(env).toMatchObject({
      SETUP_SECONDS: '3',
      COG_PREDICT_TYPE_STUB: 'run.py:Runner',
      COG_MAX_CONCURRENCY: '1',
    });
    expect(env).not.toHaveProperty('HF_TOKEN');
    expect(env.PATH?.startsWith(command.replace(/\/python$/, ':'))).toBe(true);
    expect(args).toEqual(['-m', 'cog.server.http', '--host', '127.0.0.1']);
  });

  test('an environment that was deleted is made anew', async () => {
    const home = await temporaryHome();
    const registrar = new SourceRegistrar({ home });
    const { id } = await build(registrar, testModel('noop'));
    // Only the link to the shared environments goes; the registrar makes a real folder in its place.
    await rm(join(home, 'environments'));

    const spec = await registrar.launch(id);

    expect(await (await serve(spec)).predict({ text: 'again' })).toMatchObject({
      status: 'succeeded',
      output: 'again',
    });
  });

  test('the current line of Cog serves: setup, prediction, and logs and tokens as they come', async () => {
    const registrar = new SourceRegistrar({ home: await temporaryHome() });
    const { id } = await build(registrar, testModel('counter'));

    const server = await serve(await registrar.launch(id));

    expect(await server.predict({ n: 2 })).toMatchObject({ status: 'succeeded', output: [0, 1] });
    const events = await server.stream({ n: 2 });
    expect(events.filter(({ event }) => event === 'output').map(({ data }) => data)).toHaveLength(2);
    expect(JSON.stringify(events)).toContain('counting 1');
    expect(await server.get('/openapi.json')).toHaveProperty('components.schemas.Input.properties.n');
  });

  test('a model without an iterator streams its logs as well', async () => {
    const registrar = new SourceRegistrar({ home: await temporaryHome() });
    const { id } = await build(registrar, testModel('sleeper'));

    const events = await (await serve(await registrar.launch(id))).stream({ seconds: 0.3 });

    expect(events.filter(({ data }) => data.includes('s left')).length).toBeGreaterThan(1);
    expect(JSON.stringify(events)).toContain('slept 0.3 s');
  });

  test('every kind of input reaches the model', async () => {
    const registrar = new SourceRegistrar({ home: await temporaryHome() });
    const { id } = await build(registrar, testModel('kitchen-sink'));

    const answer = await (await serve(await registrar.launch(id))).predict({
      required: 'yes',
      image: 'data:text/plain;base64,aGVsbG8=',
      password: 'hunter2',
      maybe: 4,
    });

    expect(answer).toMatchObject({
      status: 'succeeded',
      output: { seen: expect.arrayContaining(['maybe', 'words']) },
    });
    expect(answer.logs).not.toContain('hunter2');
  });

  test('the older, pure-Python line of Cog serves', async () => {
    const registrar = new SourceRegistrar({ home: await temporaryHome() });
    const built = await build(registrar, testModel('old-line'));

    const server = await serve(await registrar.launch(built.id));

    expect(built.cogVersion).toBe('0.16.12');
    expect(await server.predict({ n: 2, delay: 0 })).toMatchObject({
      status: 'succeeded',
      output: ['t0 ', 't1 '],
      logs: expect.stringContaining('token 1'),
    });
    expect(await server.get('/openapi.json')).toEqual(built.openapiSchema);
    expect(await server.get('/health-check')).toMatchObject({
      setup: { logs: expect.stringContaining('setting up the old line') },
    });
  });

  test('the log level hides what the server says of itself, not what setup prints', async () => {
    const home = await temporaryHome();
    const registrar = new SourceRegistrar({ home });
    const { id } = await build(registrar, testModel('setup-fails'));

    const server = await start(await registrar.launch(id));

    await expect
      .poll(async () => await server.get('/health-check').catch(() => 'not up yet'), { timeout: 20_000 })
      .toMatchObject({
        status: 'SETUP_FAILED',
        setup: { logs: expect.stringContaining('RuntimeError: the weights are not where they should be') },
      });
    // Of a setup that failed, coglet 0.23 tells the prints on stderr alone.
    await expect.poll(() => server.stderr()).toContain('looking for the weights');
    expect(server.stderr()).not.toContain('Spawning worker');
  });
});

interface Answer {
  readonly status: string;
  readonly output: unknown;
  readonly logs: string;
}

interface ModelServer {
  stderr(): string;
  get(path: string): Promise<unknown>;
  predict(input: object): Promise<Answer>;
  stream(input: object): Promise<{ event: string; data: string }[]>;
}

/** Starts a model server and waits until it is ready. */
async function serve(spec: LaunchSpec): Promise<ModelServer> {
  const server = await start(spec);
  await vi.waitFor(async () => expect(await server.get('/health-check')).toMatchObject({ status: 'READY' }), {
    timeout: 30_000,
    interval: 50,
  });
  return server;
}

async function start(spec: LaunchSpec): Promise<ModelServer> {
  const port = await freePort();
  const child = spawn(spec.command, spec.args, {
    cwd: spec.cwd,
    env: { ...spec.env, PORT: String(port) },
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true,
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    stderr += chunk;
  });
  onTestFinished(() => end(child));
  const base = `http://127.0.0.1:${port}`;
  const post = (input: object, accept: string) =>
    fetch(`${base}/predictions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept },
      body: JSON.stringify({ input }),
    });
  return {
    stderr: () => stderr,
    get: async (path) => (await fetch(base + path)).json(),
    predict: async (input) => (await (await post(input, 'application/json')).json()) as Answer,
    stream: async (input) => {
      // A slot is freed a moment after the answer before.
      const response = await vi.waitFor(async () => {
        const attempt = await post(input, 'text/event-stream');
        expect(attempt.status).toBe(200);
        return attempt;
      });
      return (await response.text())
        .split('\n\n')
        .filter((block) => block.includes('data:'))
        .map((block) => ({
          event: /^event: ?(.*)$/m.exec(block)?.[1] ?? '',
          data: /^data: ?(.*)$/m.exec(block)?.[1] ?? '',
        }));
    },
  };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const exited = once(child, 'exit');
  process.kill(-child.pid, 'SIGKILL');
  await exited;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}
