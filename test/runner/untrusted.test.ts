import { describe, expect, test, vi } from 'vitest';
import { maxLogCharacters } from '../../services/ports/fleet-protocol/port.ts';
import { startUntrusted } from './untrusted-server.ts';

const within = { timeout: 10_000, interval: 5 };

function succeeded(extra: object): string {
  return JSON.stringify({ status: 'succeeded', output: 'ok', logs: '', ...extra });
}

describe('what a model server answers is not trusted', () => {
  test.each([
    ['no JSON', 'not JSON at all', 'model_error'],
    ['nested too deeply', `${'['.repeat(100_000)}${']'.repeat(100_000)}`, 'model_error'],
    ['of a wrong shape', '[1, 2, 3]', 'model_error'],
    ['a failure without a word', JSON.stringify({ status: 'failed' }), 'model_error'],
    [
      'a failure with an error of a wrong type',
      JSON.stringify({ status: 'failed', error: { a: 1 } }),
      'model_error',
    ],
  ])('an answer that is %s ends the job with a message', async (_what, body, code) => {
    const { protocol } = await startUntrusted((_request, response) => response.end(body));

    const { outcome } = await protocol.submit({}).ended;

    expect(outcome).toMatchObject({ status: 'failed', failure: { code } });
    expect(outcome.status === 'failed' && outcome.failure.message.length).toBeGreaterThan(0);
  });

  test('an answer without an end is cut off at the limit', async () => {
    const { protocol } = await startUntrusted(
      (_request, response) => {
        const chunk = 'x'.repeat(1024 * 1024);
        const more = () => {
          while (!response.destroyed && response.write(chunk));
        };
        response.on('drain', more);
        more();
      },
      { maxOutputBytes: 1024 },
    );

    const { outcome } = await protocol.submit({}).ended;

    expect(outcome).toMatchObject({ status: 'failed', failure: { code: 'output_too_large' }, output: null });
  });

  test('logs that are too long lose their middle and say so', async () => {
    const logs = `first\n${'x'.repeat(3 * maxLogCharacters)}\nlast`;
    const { protocol } = await startUntrusted((_request, response) => response.end(succeeded({ logs })));

    const end = await protocol.submit({}).ended;

    expect(end.logs.length).toBeLessThanOrEqual(maxLogCharacters);
    expect(end.logs.startsWith('first\n')).toBe(true);
    expect(end.logs.endsWith('\nlast')).toBe(true);
    expect(end.logs).toMatch(/\[… \d+ characters left out …\]/);
  });

  test('a time that cannot be is not reported', async () => {
    const metrics = { predict_time: -5, tokens: 3 };
    const { protocol } = await startUntrusted((_request, response) => response.end(succeeded({ metrics })));

    const { outcome } = await protocol.submit({}).ended;

    expect(outcome).toMatchObject({ status: 'succeeded', predictMs: null, metrics: { tokens: 3 } });
  });

  test('a webhook that comes late takes nothing back', async () => {
    const { protocol } = await startUntrusted(
      async (request, response) => {
        let body = '';
        for await (const chunk of request) body += chunk;
        const { webhook } = JSON.parse(body);
        const tell = async (output: string[], logs: string) => {
          const state = JSON.stringify({ status: 'processing', output, logs });
          await fetch(webhook, { method: 'POST', body: state });
        };
        await tell(['a', 'b'], 'one\ntwo\n');
        await tell(['a'], 'one\n');
        await tell(['a', 'b', 'c'], 'one\ntwo\nthree\n');
        response.end(succeeded({ output: ['a', 'b', 'c', 'd'], logs: 'one\ntwo\nthree\nfour\n' }));
      },
      { pool: { id: 'pool', concurrency: 1, streams: true } },
    );

    const job = protocol.submit({});

    expect((await job.ended).outcome.output).toEqual(['a', 'b', 'c', 'd']);
    expect(job.shown()).toEqual(['a', 'b', 'c', 'd']);
    expect(job.liveLogs()).toBe('one\ntwo\nthree\nfour\n');
  });

  test('the traceparent of a job goes to the model', async () => {
    const seen: unknown[] = [];
    const { protocol } = await startUntrusted((request, response) => {
      seen.push(request.headers.traceparent);
      response.end(succeeded({}));
    });
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

    await protocol.submit({}, traceparent).ended;
    await protocol.submit({}, 'x\r\ninjected: yes').ended;

    expect(seen).toEqual([traceparent, 'xinjected: yes']);
  });

  test('a server that never has a slot is given up', async () => {
    const { protocol, runner } = await startUntrusted(
      (_request, response) => {
        response.statusCode = 409;
        response.end('{"error":"At capacity"}');
      },
      { stuckMs: 100 },
    );

    const { outcome } = await protocol.submit({}).ended;

    expect(outcome).toMatchObject({ status: 'failed', failure: { code: 'model_crashed' } });
    expect(runner.broken).not.toBeNull();
  });

  test('others in a process that is killed for one deaf job are given back, not failed', async () => {
    const { protocol, runner } = await startUntrusted(() => {}, {
      pool: { id: 'pool', concurrency: 2, streams: false },
      cancelGraceMs: 300,
    });
    const deaf = protocol.submit({});
    const other = protocol.submit({});
    await vi.waitFor(() => expect(runner.running).toBe(2), within);

    protocol.cancel(deaf.id);

    await vi.waitFor(() => expect(runner.broken).not.toBeNull(), within);
    await vi.waitFor(() => expect(protocol.givenBack).toEqual([{ id: other.id, attempt: 1 }]), within);
  });
});
