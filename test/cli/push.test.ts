import { randomBytes } from 'node:crypto';
import { symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Parser } from 'tar';
import { expect, test, vi } from 'vitest';
import { envOf, mimeo, newFolder, start } from './command.ts';
import { answer, type Handler, problem, startServer } from './contract-server.ts';
import { textOutput, version, versionId } from './model.ts';

const pushed = version({ text: { type: 'string' }, times: { type: 'integer', default: 1 } }, textOutput, [
  'text',
]);
const registry: Handler = (_request, response) =>
  answer(response, 200, { accepts: 'source', max_source_bytes: 2_000_000_000 });

/** The answer to a push: one line of JSON for each step. */
function lines(...steps: object[]): Handler {
  return (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/x-ndjson' });
    response.end(steps.map((step) => `${JSON.stringify(step)}\n`).join('\n'));
  };
}

const made = { type: 'version', created: true, version: pushed };

async function cogFolder(): Promise<string> {
  const folder = await newFolder();
  await writeFile(join(folder, 'cog.yaml'), 'run: run.py:Runner\n');
  await writeFile(join(folder, 'run.py'), 'code');
  return folder;
}

test('a first push makes the model, sends the folder and says how to run it', async () => {
  const folder = await cogFolder();
  const server = await startServer({
    'GET /registry': registry,
    'POST /models': (_request, response) => answer(response, 201, { owner: 'ada', name: 'echo' }),
    'POST /models/ada/echo/versions': lines(
      { type: 'progress', message: 'making an environment' },
      { type: 'warning', message: 'gpu: there is none on this machine' },
      { type: 'progress', message: 'reading the interface' },
      made,
    ),
  });

  const ended = await mimeo(['push', folder, 'ada/echo', '--hardware', 'gpu-t4', '--public'], {
    env: envOf(server),
  });

  expect(ended).toMatchObject({ code: 0, stdout: '' });
  expect(ended.stderr.split('\n')).toEqual([
    'Created the public model ada/echo on gpu-t4.',
    'packing the folder',
    'sending 2 files (23 B)',
    'making an environment',
    'Warning: gpu: there is none on this machine',
    'reading the interface',
    `New version: ada/echo:${versionId}`,
    'Run it:',
    '  npx mimeo run ada/echo text="Hello"',
    '',
  ]);
  expect(server.bodies('POST /models')).toEqual([
    { owner: 'ada', name: 'echo', visibility: 'public', hardware: 'gpu-t4' },
  ]);
  const push = server.received.at(-1);
  expect(push?.headers).toMatchObject({ 'content-type': 'application/gzip', accept: 'application/x-ndjson' });
  expect(await namesIn(push?.body ?? Buffer.alloc(0))).toEqual(['cog.yaml', 'run.py']);
});

test('a version that was there already is told apart, and the model left as it is', async () => {
  const folder = await cogFolder();
  const server = await startServer({
    'GET /registry': registry,
    'GET /models/ada/echo': (_request, response) => answer(response, 200, { owner: 'ada', name: 'echo' }),
    'POST /models/ada/echo/versions': lines({ ...made, created: false }),
  });

  const ended = await mimeo(['push', folder, 'ada/echo'], { env: envOf(server) });

  expect(ended.code).toBe(0);
  expect(ended.stderr).toContain(`This version was there already: ada/echo:${versionId}\n`);
  expect(server.bodies('POST /models')).toEqual([]);
});

test('--json prints the version on stdout and nothing else', async () => {
  const folder = await cogFolder();
  const server = await startServer({
    'GET /registry': registry,
    'POST /models': (_request, response) => answer(response, 201, { owner: 'ada', name: 'echo' }),
    'POST /models/ada/echo/versions': lines({ type: 'progress', message: 'installing' }, made),
  });

  const ended = await mimeo(['push', folder, 'ada/echo', '--json'], { env: envOf(server) });

  expect(JSON.parse(ended.stdout)).toEqual(pushed);
  expect(server.bodies('POST /models')).toMatchObject([{ visibility: 'private', hardware: 'cpu' }]);
});

test('--gpu-memory is told to the server, and a new model gets the first hardware that holds it', async () => {
  const server = await startServer({
    'GET /registry': registry,
    'GET /hardware': (_request, response) =>
      answer(response, 200, [
        { sku: 'cpu', gpu: null },
        { sku: 'gpu-t4', gpu: { count: 1, memory_gb: 16 } },
        { sku: 'gpu-t4-2x', gpu: { count: 2, memory_gb: 16 } },
      ]),
    'POST /models': (_request, response) => answer(response, 201, { owner: 'ada', name: 'echo' }),
    'POST /models/ada/echo/versions?gpu_memory_gb=24': lines(made),
  });

  const push = async (gigabytes: string) =>
    mimeo(['push', await cogFolder(), 'ada/echo', '--gpu-memory', gigabytes], { env: envOf(server) });

  expect(await push('24')).toMatchObject({ code: 0 });
  expect(server.bodies('POST /models')).toMatchObject([{ hardware: 'gpu-t4-2x' }]);
  expect(await push('48')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('no hardware with 48 GB'),
  });
  expect(await push('a lot')).toMatchObject({ code: 2, stderr: expect.stringContaining('not "a lot"') });
});

test('progress is shown while the server works, and Ctrl-C ends the push', async () => {
  const folder = await cogFolder();
  const closed = Promise.withResolvers<void>();
  const server = await startServer({
    'GET /registry': registry,
    'POST /models': (_request, response) => answer(response, 201, { owner: 'ada', name: 'echo' }),
    'POST /models/ada/echo/versions': (_request, response) => {
      response.on('close', () => closed.resolve());
      response.writeHead(200, { 'content-type': 'application/x-ndjson' });
      response.write(`${JSON.stringify({ type: 'progress', message: 'installing torch' })}\n`);
    },
  });

  const running = start(['push', folder, 'ada/echo'], { env: envOf(server) });
  await vi.waitFor(() => expect(running.soFar.stderr).toContain('installing torch\n'), 20_000);
  running.child.kill('SIGINT');

  expect((await running.ended).code).toBe(130);
  await closed.promise;
});

test('a problem at the end of the answer is a refused push', async () => {
  const folder = await cogFolder();
  const detail = 'run.py has no class Runner; cog.yaml names it in run:';
  const server = await startServer({
    'GET /registry': registry,
    'POST /models': (_request, response) => answer(response, 201, { owner: 'ada', name: 'echo' }),
    'POST /models/ada/echo/versions': lines({
      type: 'problem',
      problem: { title: 'The folder is not a Cog model', detail, status: 422, code: 'invalid_model' },
    }),
  });

  const ended = await mimeo(['push', folder, 'ada/echo'], { env: envOf(server) });

  expect(ended).toMatchObject({ code: 1, stdout: '' });
  expect(ended.stderr).toContain(`mimeo: The push was refused: ${detail}\n`);
});

test('a refusal in the middle of a large upload is shown in the words of the server', async () => {
  const folder = await cogFolder();
  await writeFile(join(folder, 'weights.bin'), randomBytes(30_000_000));
  const server = await startServer({
    'GET /registry': registry,
    'GET /models/ada/echo': (_request, response) => answer(response, 200, { owner: 'ada', name: 'echo' }),
  });
  server.refuseAtOnce('POST /v1/models/ada/echo/versions', (response) =>
    problem(response, 403, 'forbidden', 'Only grace may push to ada/echo.'),
  );

  const ended = await mimeo(['push', folder, 'ada/echo'], { env: envOf(server) });

  expect(ended).toMatchObject({ code: 2, stdout: '' });
  expect(ended.stderr).toContain('mimeo: Only grace may push to ada/echo.\n');
});

test('an answer that breaks off is no version', async () => {
  const folder = await cogFolder();
  const server = await startServer({
    'GET /registry': registry,
    'GET /models/ada/echo': (_request, response) => answer(response, 200, { owner: 'ada', name: 'echo' }),
    'POST /models/ada/echo/versions': lines({ type: 'progress', message: 'installing' }),
  });

  const ended = await mimeo(['push', folder, 'ada/echo'], { env: envOf(server) });

  expect(ended.code).toBe(1);
  expect(ended.stderr).toContain('The connection ended before the server had made the version. Push again');
});

test('a folder with a link that leads out of it is not sent', async () => {
  const folder = await cogFolder();
  await symlink('/etc/hostname', join(folder, 'secret'));
  const server = await startServer({
    'GET /registry': registry,
    'GET /models/ada/echo': (_request, response) => answer(response, 200, { owner: 'ada', name: 'echo' }),
  });

  const ended = await mimeo(['push', folder, 'ada/echo'], { env: envOf(server) });

  expect(ended.code).toBe(1);
  expect(ended.stderr).toContain('cannot be pushed: secret links to /etc/hostname');
});

test('a folder without cog.yaml, or none at all, is refused before anything is sent', async () => {
  const folder = await newFolder();
  const server = await startServer();

  const [empty, missing] = await Promise.all([
    mimeo(['push', folder, 'ada/echo'], { env: envOf(server) }),
    mimeo(['push', join(folder, 'none'), 'ada/echo'], { env: envOf(server) }),
  ]);

  expect(empty).toMatchObject({ code: 2 });
  expect(empty.stderr).toContain('has no cog.yaml. Start a model with: npx mimeo init');
  expect(missing).toMatchObject({ code: 2, stderr: `mimeo: There is no folder ${join(folder, 'none')}.\n` });
  expect(server.received).toEqual([]);
});

async function namesIn(archive: Buffer): Promise<string[]> {
  const names: string[] = [];
  const parser = new Parser({
    onReadEntry: (entry) => {
      names.push(entry.path.replace(/^\.\//, ''));
      entry.resume();
    },
  });
  await pipeline(Readable.from([archive]), parser as unknown as NodeJS.WritableStream);
  return names;
}
