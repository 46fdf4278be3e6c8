import { once } from 'node:events';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { ProblemError } from '../../services/core/errors.ts';
import { newJobId } from '../../services/core/ids.ts';
import { type FileReceiver, openFileReceiver } from '../../services/runner/file-receiver.ts';
import { type InstanceOptions, startInstance } from './instance.ts';
import { cogLines, launchModel } from './scripted-model.ts';

const code = `
from cog import BasePredictor, Path


class Predictor(BasePredictor):
    def predict(self, content: str, returns: str = "file") -> Path:
        if returns == "nothing":
            return None
        path = Path("/tmp/mimeo-sent.png")
        path.write_text(content)
        return path
`;
const path = 'a-door-that-nobody-guesses';
const maxBytes = 1000;
let receiver: FileReceiver;
beforeEach(async () => {
  receiver = await openFileReceiver();
  return () => receiver.close();
});

/** A store that keeps what it is sent, unless it is told to do something else with it. */
async function openStore() {
  const stored: string[] = [];
  const store = { stored, status: 200, holds: false, begun: 0, url: '' };
  const server = createServer(async (incoming, response) => {
    store.begun++;
    if (store.holds) return;
    const body = await text(incoming);
    if (store.status === 200)
      stored.push(`${incoming.headers['content-type']} ${incoming.headers['content-length']} ${body}`);
    response.writeHead(store.status).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  store.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  return store;
}

async function start(options: InstanceOptions & { readonly cogVersion?: string } = {}) {
  const { cogVersion, ...rest } = options;
  const store = await openStore();
  const door = receiver.door(path);
  const spec = await launchModel(code, { uploadUrl: door.url, ...(cogVersion && { cogVersion }) });
  const instance = await startInstance(spec, { sentFiles: { door, maxBytes }, ...rest });
  const names: string[] = [];
  instance.protocol.place = () => {
    const name = newJobId(0);
    names.push(name);
    return { name, url: store.url };
  };
  return { ...instance, spec, store, names };
}

async function send(url: string, headers: Record<string, string>, method = 'PUT'): Promise<number> {
  const sent = request(url, { method, headers });
  sent.end('bytes');
  const [response] = await once(sent, 'response');
  response.resume();
  return response.statusCode;
}

describe.each(cogLines)('the one file that a model of Cog %s puts out', (cogVersion) => {
  it('is stored with its type and length', async () => {
    const { protocol, store, names } = await start({ cogVersion });
    const { outcome } = await protocol.submit({ content: 'hello' }).ended;

    expect(outcome).toMatchObject({
      status: 'succeeded',
      output: null,
      files: [{ path: [], name: names[0] }],
    });
    expect(store.stored).toEqual(['image/png 5 hello']);
  });

  it('ends the run as a fault of the platform where it cannot be stored', async () => {
    const { protocol, store } = await start({ cogVersion });
    store.status = 403;
    const { outcome } = await protocol.submit({ content: 'hello' }).ended;

    expect(outcome).toMatchObject({ status: 'failed', output: null, failure: { code: 'platform_error' } });
  }, 60_000);
});

it('the server is told where to send files only if its version puts out one and nothing else', async () => {
  const uploadUrl = receiver.door(path).url;
  const list = code.replace('-> Path', '-> list[Path]');
  const many = code.replace('def predict', 'async def predict');

  expect((await launchModel(code, { uploadUrl })).args).toContain('--upload-url');
  expect((await launchModel(list, { uploadUrl })).args).not.toContain('--upload-url');
  expect((await launchModel(many, { uploadUrl, concurrency: 2 })).args).not.toContain('--upload-url');
});

it('a file that is too large ends the run as output_too_large, and the next one is as usual', async () => {
  const { protocol, store } = await start();
  const { outcome } = await protocol.submit({ content: 'x'.repeat(maxBytes + 1) }).ended;
  const next = await protocol.submit({ content: 'x'.repeat(maxBytes) }).ended;

  expect(outcome).toMatchObject({ status: 'failed', failure: { code: 'output_too_large' } });
  expect(next.outcome.status).toBe('succeeded');
  expect(store.stored).toHaveLength(1);
});

it('a model that puts out nothing after all ends as it always did', async () => {
  const { protocol } = await start();
  const { outcome } = await protocol.submit({ content: '', returns: 'nothing' }).ended;

  expect(outcome).toMatchObject({ status: 'succeeded', output: null, files: undefined });
});

it('a cancel does not wait for a file that is on its way, and the next job has its own', async () => {
  const { protocol, store } = await start();
  store.holds = true;
  const first = protocol.submit({ content: 'first' });
  await expect.poll(() => store.begun).toBe(1);
  protocol.cancel(first.id);
  const canceled = await first.ended;
  store.holds = false;
  const next = await protocol.submit({ content: 'next' }).ended;

  expect(canceled.outcome).toMatchObject({ status: 'failed', failure: { code: 'canceled' }, output: null });
  expect(next.outcome.status).toBe('succeeded');
  expect(store.stored).toEqual(['image/png 4 next']);
});

it('the file of an attempt that is lost is not stored', async () => {
  const { protocol, runner, store } = await start();
  let asked = 0;
  protocol.placeFile = async () => {
    asked++;
    throw new ProblemError('stale_attempt', 'The lease has moved on.');
  };
  protocol.submit({ content: 'late' });
  await expect.poll(() => asked).toBe(1);

  await expect.poll(() => runner.running).toBe(0);
  expect(store.begun).toBe(0);
});

describe('the receiver', () => {
  it('takes nothing but one file of the job that runs, by PUT, until the run has ended', async () => {
    const door = receiver.door(path);
    const taken: string[] = [];
    const take = async ({ body }: { body: NodeJS.ReadableStream }) => {
      taken.push(await text(body));
      return 'http://127.0.0.1/there';
    };
    const own = { 'x-prediction-id': 'job' };
    const before = await send(`${door.url}/a.png`, own);
    const shut = door.open({ jobId: 'job', take });
    const answers = [
      await send(`${door.url}/a.png`, own),
      await send(`${door.url}/a.png`, { 'x-prediction-id': 'other' }),
      await send(`${door.url}/a.png`, {}),
      await send(`${door.url}/a.png`, own, 'POST'),
      await send(`${receiver.door('another').url}/a.png`, own),
    ];
    shut();

    expect([before, ...answers]).toEqual([404, 200, 404, 404, 404, 404]);
    expect(await send(`${door.url}/a.png`, own)).toBe(404);
    expect(taken).toEqual(['bytes']);
  });
});
