import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { envOf, mimeo, newFolder, start } from './command.ts';
import { answer, beginStream, problem, sendEvent, startServer } from './contract-server.ts';
import {
  modelRoutes,
  prediction,
  predictionId,
  streamedText,
  succeeded,
  textOutput,
  version,
  versionId,
} from './model.ts';

const echo = version({ text: { type: 'string' }, times: { type: 'integer', default: 1 } }, textOutput, [
  'text',
]);
const chat = version({ prompt: { type: 'string' } }, streamedText, ['prompt']);

test('a prediction is awaited, its text printed alone on stdout and its price on stderr', async () => {
  const server = await startServer(
    modelRoutes(echo, {}, { status: 'processing' }, { ...succeeded, output: 'Hello Hello' }),
  );

  const ended = await mimeo(['run', 'ada/echo', 'text=Hello', 'times=2'], { env: envOf(server) });

  expect(ended).toEqual({
    code: 0,
    stdout: 'Hello Hello\n',
    stderr: `succeeded; ran 1.23 s; $0.000124 (cpu); prediction ${predictionId}\n`,
  });
  expect(server.bodies('POST /predictions')).toEqual([
    { version: versionId, input: { text: 'Hello', times: 2 }, stream: true },
  ]);
});

test('a version that is named is run, and --cancel-after reaches the server', async () => {
  const server = await startServer(modelRoutes(echo, { ...succeeded, output: 'Hi' }));

  const ended = await mimeo(['run', `ada/echo:${versionId}`, 'text=Hi', '--cancel-after', '5m'], {
    env: envOf(server),
  });

  expect(ended).toMatchObject({ code: 0, stdout: 'Hi\n' });
  const created = server.received.find(({ method }) => method === 'POST');
  expect(created?.headers['cancel-after']).toBe('5m');
});

test('values that are not text are printed as JSON, and lists of text a line each', async () => {
  const object = await startServer(
    modelRoutes(version({}, { type: 'object' }), { ...succeeded, output: { a: [1, null] } }),
  );
  const list = await startServer(
    modelRoutes(version({}, { type: 'array', items: textOutput }), { ...succeeded, output: ['a', 'b'] }),
  );

  const [asObject, asList] = await Promise.all([
    mimeo(['run', 'ada/echo'], { env: envOf(object) }),
    mimeo(['run', 'ada/echo'], { env: envOf(list) }),
  ]);

  expect(JSON.parse(asObject.stdout)).toEqual({ a: [1, null] });
  expect(asList.stdout).toBe('a\nb\n');
});

test('--json prints the final prediction on stdout and nothing else', async () => {
  const final = { ...succeeded, output: ['Hel', 'lo'], logs: 'thinking\n' };
  const server = await startServer(modelRoutes(chat, {}, final));

  const ended = await mimeo(['run', 'ada/echo', 'prompt=x', '--json'], { env: envOf(server) });

  expect(ended.code).toBe(0);
  expect(JSON.parse(ended.stdout)).toEqual(prediction(final));
});

test('tokens are printed as they come, logs go to stderr', async () => {
  const server = await startServer();
  const urls = { stream: `${server.url}/stream` };
  server.on(
    modelRoutes(chat, { urls }, { ...succeeded, output: ['Hel', 'lo\n\nyou'], logs: 'thinking\n', urls }),
  );
  const release = Promise.withResolvers<void>();
  server.on({
    'GET /stream': async ({ headers }, response) => {
      expect(headers.authorization).toBeUndefined();
      beginStream(response);
      sendEvent(response, '1.0', 'logs', 'thinking\n');
      sendEvent(response, '1.1', 'output', 'Hel');
      await release.promise;
      sendEvent(response, '1.2', 'output', 'lo\n\nyou');
      sendEvent(response, '1.2', 'done', '{}');
      response.end();
    },
  });

  const running = start(['run', 'ada/echo', 'prompt=Hello'], { env: envOf(server) });
  await vi.waitFor(() => expect(running.soFar.stdout).toBe('Hel'), 20_000);
  release.resolve();

  expect(await running.ended).toMatchObject({ code: 0, stdout: 'Hello\n\nyou\n' });
  expect(running.soFar.stderr).toMatch(/^thinking\nsucceeded; /);
});

test('a stream that breaks is taken up after the last event that arrived', async () => {
  const server = await startServer();
  const urls = { stream: `${server.url}/stream` };
  const output = ['a', 'b', 'c'];
  server.on(modelRoutes(chat, { urls }, { ...succeeded, output, urls }));
  const resumedAfter: unknown[] = [];
  server.on({
    'GET /stream': ({ headers }, response) => {
      const last = headers['last-event-id'];
      resumedAfter.push(last);
      const next = last === undefined ? 0 : Number(String(last).split('.')[1]);
      beginStream(response);
      sendEvent(response, `1.${next + 1}`, 'output', output[next] ?? '');
      if (next + 1 === output.length) {
        sendEvent(response, `1.${next + 1}`, 'done', '{}');
        response.end();
      } else setImmediate(() => response.destroy());
    },
  });

  const ended = await mimeo(['run', 'ada/echo', 'prompt=x'], { env: envOf(server) });

  expect(ended).toMatchObject({ code: 0, stdout: 'abc\n' });
  expect(resumedAfter).toEqual([undefined, '1.1', '1.2']);
});

test('where the stream is refused, the rest of the output comes by asking', async () => {
  const server = await startServer();
  const urls = { stream: `${server.url}/stream` };
  server.on(
    modelRoutes(chat, { urls }, { status: 'processing', urls }, { ...succeeded, output: ['a', 'b'], urls }),
  );
  let connections = 0;
  server.on({
    'GET /stream': (_request, response) => {
      connections += 1;
      if (connections > 1) return problem(response, 403, 'forbidden', 'The link has expired.');
      beginStream(response);
      sendEvent(response, '1.1', 'output', 'a');
      setImmediate(() => response.destroy());
    },
  });

  const ended = await mimeo(['run', 'ada/echo', 'prompt=x'], { env: envOf(server) });

  expect(ended).toMatchObject({ code: 0, stdout: 'ab\n' });
});

test('--no-stream leaves the stream alone and prints the text when it is whole', async () => {
  const server = await startServer();
  const urls = { stream: `${server.url}/stream` };
  server.on(modelRoutes(chat, { urls }, { ...succeeded, output: ['Hel', 'lo'], logs: 'thinking\n', urls }));

  const ended = await mimeo(['run', 'ada/echo', 'prompt=x', '--no-stream'], { env: envOf(server) });

  expect(ended).toMatchObject({ code: 0, stdout: 'Hello\n' });
  expect(ended.stderr).toContain('thinking\n');
  expect(server.received.map(({ path }) => path)).not.toContain('/stream');
});

test('a wait is explained', async () => {
  const waiting = { phase: 'setup', position: 1, eta_seconds: { p50: 3.2, p90: 5 } };
  const server = await startServer(modelRoutes(echo, { waiting }, { waiting }));

  const running = start(['run', 'ada/echo', 'text=x'], { env: envOf(server) });
  await vi.waitFor(() => expect(running.soFar.stderr).toContain('starting an instance (setup)'), 20_000);
  server.on({
    [`GET /predictions/${predictionId}`]: (_request, response) =>
      answer(response, 200, prediction({ ...succeeded, output: 'x' })),
  });

  expect((await running.ended).code).toBe(0);
  expect(running.soFar.stderr).toMatch(/^starting an instance \(setup\), about 3 s\nsucceeded/);
});

test('a wait says what the instance itself waits for', async () => {
  const reason = 'No machine of gpu-t4 is up yet.';
  const waiting = { phase: 'node', position: 1, eta_seconds: { p50: 90, p90: 120 }, reason };
  const server = await startServer(modelRoutes(echo, { waiting }, { waiting }));

  const running = start(['run', 'ada/echo', 'text=x'], { env: envOf(server) });
  await vi.waitFor(() => expect(running.soFar.stderr).toContain('starting a machine'), 20_000);
  server.on({
    [`GET /predictions/${predictionId}`]: (_request, response) =>
      answer(response, 200, prediction({ ...succeeded, output: 'x' })),
  });

  expect((await running.ended).code).toBe(0);
  expect(running.soFar.stderr).toMatch(/^starting a machine: No machine of gpu-t4 is up yet, about 90 s\n/);
});

test('a wait for a stream is explained, too, until the stream begins', async () => {
  const waiting = { phase: 'queued', position: 3, eta_seconds: null };
  const server = await startServer();
  const urls = { stream: `${server.url}/stream` };
  const begun = Promise.withResolvers<void>();
  server.on(modelRoutes(chat, { urls, waiting }, { urls, waiting }));
  server.on({
    'GET /stream': async (_request, response) => {
      beginStream(response);
      await begun.promise;
      sendEvent(response, '1.1', 'output', 'Hi');
      sendEvent(response, '1.1', 'done', '{}');
      response.end();
    },
  });

  const running = start(['run', 'ada/echo', 'prompt=x'], { env: envOf(server) });
  await vi.waitFor(() => expect(running.soFar.stderr).toContain('waiting for a free instance'), 20_000);
  server.on(modelRoutes(chat, {}, { ...succeeded, output: ['Hi'] }));
  begun.resolve();

  expect(await running.ended).toMatchObject({ code: 0, stdout: 'Hi\n' });
  expect(running.soFar.stderr).toMatch(/^waiting for a free instance, place 3 in the queue\nsucceeded/);
});

test('a failure says what happened, who is at fault and whether to try again', async () => {
  const server = await startServer(
    modelRoutes(echo, {
      ...succeeded,
      status: 'failed',
      error: 'ZeroDivisionError: division by zero',
      code: 'model_error',
      fault: 'model',
      retryable: false,
    }),
  );

  const ended = await mimeo(['run', 'ada/echo', 'text=x'], { env: envOf(server) });

  expect(ended).toMatchObject({ code: 1, stdout: '' });
  expect(ended.stderr).toContain(
    'mimeo: The prediction failed (model_error): ZeroDivisionError: division by zero\n' +
      "At fault: the model's code. Running it again unchanged will not help.\n",
  );
});

test('Ctrl-C cancels the prediction on the server', async () => {
  const server = await startServer(modelRoutes(echo, {}, { status: 'processing' }));

  const running = start(['run', 'ada/echo', 'text=x'], { env: envOf(server) });
  const looked = () => server.received.filter(({ path }) => path === `/predictions/${predictionId}`);
  await vi.waitFor(() => expect(looked().length).toBeGreaterThan(0), 20_000);
  running.child.kill('SIGINT');

  expect((await running.ended).code).toBe(130);
  expect(server.received.at(-1)).toMatchObject({
    method: 'POST',
    path: `/predictions/${predictionId}/cancel`,
  });
  expect(running.soFar.stderr).toContain('canceled; ');
});

test('Ctrl-C before the id has arrived still cancels the prediction', async () => {
  const server = await startServer(modelRoutes(echo, {}));
  const interrupted = Promise.withResolvers<void>();
  server.on({
    'POST /predictions': async (_request, response) => {
      running.child.kill('SIGINT');
      await interrupted.promise;
      answer(response, 201, prediction());
    },
  });
  const running = start(['run', 'ada/echo', 'text=x'], { env: envOf(server) });
  // The answer goes out only when the process has had the signal and is still there.
  await vi.waitFor(
    () => expect(server.received.some(({ path }) => path === '/predictions')).toBe(true),
    20_000,
  );
  interrupted.resolve();

  expect((await running.ended).code).toBe(130);
  expect(server.received.at(-1)?.path).toBe(`/predictions/${predictionId}/cancel`);
});

test('a server that restarts is waited for', async () => {
  const server = await startServer(modelRoutes(echo, {}));
  let asked = 0;
  server.on({
    [`GET /predictions/${predictionId}`]: (_request, response) => {
      asked += 1;
      if (asked === 1) response.destroy();
      else if (asked === 2) problem(response, 503, 'unavailable', 'Restarting.');
      else answer(response, 200, prediction({ ...succeeded, output: 'still here' }));
    },
  });

  const ended = await mimeo(['run', 'ada/echo', 'text=x'], { env: envOf(server) });

  expect(ended).toMatchObject({ code: 0, stdout: 'still here\n' });
});

test('files are saved under names that are free, and their paths printed', async () => {
  const cwd = await newFolder();
  await writeFile(join(cwd, 'output.png'), 'mine');
  const server = await startServer();
  const file = { type: 'string', format: 'uri' };
  const output = {
    type: 'object',
    properties: { image: file, sounds: { type: 'array', items: file }, note: textOutput },
  };
  const image = `data:image/png;base64,${Buffer.from('png').toString('base64')}`;
  server.on({
    ...modelRoutes(version({}, output), {
      ...succeeded,
      output: {
        image,
        sounds: [`${server.url}/files/..%2f..%2ftone.wav?sig=x`],
        note: 'https://example.com',
      },
    }),
    'GET /files/..%2f..%2ftone.wav?sig=x': (_request, response) =>
      void response.writeHead(200, { 'content-type': 'audio/wav' }).end('wav'),
  });

  const ended = await mimeo(['run', 'ada/echo'], { env: envOf(server), cwd });

  expect(ended.code).toBe(0);
  expect(JSON.parse(ended.stdout)).toEqual({
    image: 'output-1.png',
    sounds: ['tone.wav'],
    note: 'https://example.com',
  });
  expect((await readdir(cwd)).toSorted()).toEqual(['output-1.png', 'output.png', 'tone.wav']);
  expect(await readFile(join(cwd, 'output.png'), 'utf8')).toBe('mine');
  expect(await readFile(join(cwd, 'output-1.png'), 'utf8')).toBe('png');
  expect(await readFile(join(cwd, 'tone.wav'), 'utf8')).toBe('wav');
});

test('--output names the file, for files and for text', async () => {
  const cwd = await newFolder();
  const files = version({}, { type: 'string', format: 'uri' });
  const image = await startServer(modelRoutes(files, { ...succeeded, output: 'data:image/png;base64,cG5n' }));
  const text = await startServer(modelRoutes(echo, { ...succeeded, output: 'Hello' }));

  const [asFile, asText] = await Promise.all([
    mimeo(['run', 'ada/echo', '--output', 'large.png'], { env: envOf(image), cwd }),
    mimeo(['run', 'ada/echo', 'text=x', '--output', 'texts/'], { env: envOf(text), cwd }),
  ]);

  expect(asFile).toMatchObject({ code: 0, stdout: 'large.png\n' });
  expect(await readFile(join(cwd, 'large.png'), 'utf8')).toBe('png');
  expect(asText).toMatchObject({ code: 0, stdout: '' });
  expect(await readFile(join(cwd, 'texts/output.txt'), 'utf8')).toBe('Hello\n');
});

test('every input that does not fit is named, with those that do', async () => {
  const server = await startServer(modelRoutes(echo, {}));

  const ended = await mimeo(['run', 'ada/echo', 'txt=Hello', 'times=many'], { env: envOf(server) });

  const allowed = 'the inputs are text (string, required), times (integer)';
  expect(ended).toEqual({
    code: 2,
    stdout: '',
    stderr: `mimeo: there is no input "txt"; ${allowed}\ntimes: "many" is not an integer; ${allowed}\n`,
  });
  expect(server.bodies('POST /predictions')).toEqual([]);
});

test('input that the server refuses is a usage error, in the words of the server', async () => {
  const server = await startServer(modelRoutes(echo, {}));
  server.on({
    'POST /predictions': (_request, response) =>
      problem(response, 422, 'input_invalid', '- input.times: Must be less than or equal to 10'),
  });

  const ended = await mimeo(['run', 'ada/echo', 'text=x', 'times=11'], { env: envOf(server) });

  expect(ended).toMatchObject({
    code: 2,
    stderr: 'mimeo: - input.times: Must be less than or equal to 10\n',
  });
});

test.each([
  [['run', 'echo'], '"echo" is not a model\'s name: write OWNER/NAME'],
  [['run', 'Ada/echo'], 'The owner "Ada" must be'],
  [['run', 'ada/echo:latest'], '"latest" is not a version'],
  [['run', 'ada/none', 'x=1'], 'There is no model ada/none on'],
  [['run', 'ada/echo', 'text=x', '--cancel-after', 'soon'], '--cancel-after soon is not a time'],
  [['run', 'ada/echo', 'text=x', '--output', 'none/here.png'], 'there is no folder none'],
  [['run', 'ada/echo', '--fast'], "unknown option '--fast'"],
])('%j is refused with one clear line', async (words, message) => {
  const server = await startServer(modelRoutes(echo, {}));

  const ended = await mimeo(words, { env: envOf(server) });

  expect(ended).toMatchObject({ code: 2, stdout: '' });
  expect(ended.stderr).toContain(message);
  expect(ended.stderr).not.toContain('    at ');
});

test('a model without a version says how to get one', async () => {
  const server = await startServer({
    'GET /models/ada/echo': (_request, response) =>
      answer(response, 200, { owner: 'ada', name: 'echo', latest_version: null }),
  });

  const ended = await mimeo(['run', 'ada/echo'], { env: envOf(server) });

  expect(ended).toMatchObject({
    code: 2,
    stderr: 'mimeo: ada/echo has no version yet. Push one: npx mimeo push DIR ada/echo\n',
  });
});

test('a reader of the output who goes away cancels what is still running', async () => {
  const server = await startServer();
  const urls = { stream: `${server.url}/stream` };
  server.on(modelRoutes(chat, { urls }, { status: 'processing', urls }));
  server.on({
    'GET /stream': (_request, response) => {
      beginStream(response);
      let index = 0;
      const timer = setInterval(() => sendEvent(response, `1.${++index}`, 'output', 'token '), 10);
      response.on('close', () => clearInterval(timer));
    },
  });

  const running = start(['run', 'ada/echo', 'prompt=x'], { env: envOf(server) });
  await vi.waitFor(() => expect(running.soFar.stdout).toContain('token'), 20_000);
  running.child.stdout?.destroy();

  expect((await running.ended).code).toBe(141);
  expect(server.received.at(-1)?.path).toBe(`/predictions/${predictionId}/cancel`);
});
