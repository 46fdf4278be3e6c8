import { createHmac } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { post } from '../../services/webhooks/post.ts';
import { signedHeaders } from '../../services/webhooks/signature.ts';
import { type Address, checkTarget, type Resolve } from '../../services/webhooks/targets.ts';
import { type Receiver, startReceiver } from '../support/receiver.ts';

const local = { allowHttp: true, allowPrivate: true };
const strict = { allowHttp: false, allowPrivate: false };
const loopback: Address = { address: '127.0.0.1', family: 4 };

let answer: (response: ServerResponse, path: string) => void;
let receiver: Receiver;
beforeEach(async () => {
  answer = (response) => response.writeHead(204).end();
  receiver = await startReceiver((response, path) => answer(response, path));
});
afterEach(async () => receiver.close());

function send(url: string, options: { resolve?: Resolve; timeoutMs?: number; signal?: AbortSignal } = {}) {
  const {
    resolve = async () => [loopback],
    timeoutMs = 5000,
    signal = new AbortController().signal,
  } = options;
  return post(url, '{"a":1}', { 'webhook-id': 'x' }, { policy: local, resolve, timeoutMs, signal });
}

describe('a hostile name', () => {
  it('that means something else at every look is looked at once, and called where it was checked', async () => {
    const answers = [[loopback], [{ address: '169.254.169.254', family: 4 as const }]];
    const resolve = vi.fn(async () => answers.shift() ?? []);

    const result = await send(`http://rebinding.example:${receiver.port}/`, { resolve });

    expect(result).toMatchObject({ status: 204, error: null });
    expect(resolve).toHaveBeenCalledTimes(1);
    expect(receiver.received[0]?.headers.host).toBe(`rebinding.example:${receiver.port}`);
  });

  it.each<[string, Address[]]>([
    ['private', [{ address: '10.0.0.1', family: 4 }]],
    ['mapped', [{ address: '::ffff:127.0.0.1', family: 6 }]],
    ['metadata', [{ address: 'fd00:ec2::254', family: 6 }]],
    ['public first, then private', [{ address: '8.8.8.8', family: 4 }, loopback]],
    ['private first, then public', [loopback, { address: '2606:4700::1', family: 6 }]],
    ['nothing at all', []],
  ])('with addresses that are %s is refused', async (_what, addresses) => {
    await expect(checkTarget('https://evil.example/', strict, async () => addresses)).rejects.toThrow(
      /evil\.example/,
    );
  });

  it('is given no other address than those that were checked', async () => {
    const { lookup } = await checkTarget('https://good.example/', strict, async () => [
      { address: '8.8.8.8', family: 4 },
    ]);
    const given = await new Promise((done) => {
      lookup('good.example', { all: true }, (_error, addresses) => done(addresses));
    });

    expect(given).toEqual([{ address: '8.8.8.8', family: 4 }]);
  });

  it('that never resolves costs no more than the time for a try', async () => {
    const result = await send('http://silent.example/', {
      resolve: () => new Promise(() => {}),
      timeoutMs: 50,
    });

    expect(result).toEqual({ status: null, error: 'No answer within 0.05 s', excerpt: '' });
  });
});

describe('a hostile receiver', () => {
  it('that redirects is not followed', async () => {
    answer = (response, path) => {
      if (path === '/') response.writeHead(307, { location: `${receiver.url}/private` }).end();
      else response.writeHead(200).end();
    };

    expect(await send(`${receiver.url}/`)).toMatchObject({ status: 307, error: 'The receiver answered 307' });
    expect(receiver.received.map(({ path }) => path)).toEqual(['/']);
  });

  it('that answers without end is heard for a moment, and what is kept of it is short', async () => {
    let hungUp = false;
    answer = (response) => {
      response.writeHead(500);
      response.on('close', () => {
        hungUp = true;
      });
      const more = () => {
        while (!hungUp && response.write('x'.repeat(65_536)));
      };
      response.on('drain', more);
      more();
    };

    const result = await send(receiver.url);

    expect(result).toEqual({ status: 500, error: 'The receiver answered 500', excerpt: 'x'.repeat(500) });
    await expect.poll(() => hungUp).toBe(true);
  });

  it('that accepts and then drips its body has accepted', async () => {
    answer = (response) => void response.writeHead(200).write('slow');

    expect(await send(receiver.url, { timeoutMs: 200 })).toEqual({
      status: 200,
      error: null,
      excerpt: 'slow',
    });
  });

  it('that never answers has not', async () => {
    answer = () => {};

    expect(await send(receiver.url, { timeoutMs: 100 })).toMatchObject({ status: null });
  });

  it('is let go of when the server stops, as if nothing had been tried', async () => {
    const stop = new AbortController();
    answer = () => stop.abort();

    expect(await send(receiver.url, { signal: stop.signal })).toBeUndefined();
  });
});

it('signs id, time and body as Standard Webhooks wants it', () => {
  const key = Buffer.from('0123456789abcdef01234567');
  const secret = `whsec_${key.toString('base64')}`;

  const headers = signedHeaders(secret, { id: 'job-completed-1', body: '{"ż":1}', nowMs: 1_700_000_000_999 });

  const expected = createHmac('sha256', key).update('job-completed-1.1700000000.{"ż":1}').digest('base64');
  expect(headers).toEqual({
    'webhook-id': 'job-completed-1',
    'webhook-timestamp': '1700000000',
    'webhook-signature': `v1,${expected}`,
  });
});
