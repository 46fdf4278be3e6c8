import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sharedPoolId } from '../../services/core/pool.ts';
import { openApi, type TestApi } from '../support/api.ts';

const version = 'a'.repeat(64);
const pool = sharedPoolId({ model: 'local/large', version, hardware: 'gpu-t4' });

let test: TestApi;
beforeEach(async () => {
  test = await openApi();
  await test.addModel({ name: 'large', hardware: 'gpu-t4' }, { id: version });
});
afterEach(async () => test.close());

async function json(method: string, path: string, body?: unknown) {
  const response = await test.call(method, path, body);
  return (await response.json()) as Record<string, unknown> & { id: string };
}

async function predict(): Promise<string> {
  return (await json('POST', '/v1/predictions', { version, input: { text: 'x' } })).id;
}

function passSeconds(seconds: number): void {
  test.clock.now += seconds * 1000;
}

describe('what a start takes is billed to nobody', () => {
  it('a prediction that waited for it is billed for its run alone', async () => {
    const id = await predict();
    passSeconds(900);
    const runner = test.api.dispatch.protocolFor({ role: 'runner', pool });
    const job = await runner.lease({ instance: 'one', waitSeconds: 0 });
    passSeconds(2);
    const outcome = { status: 'succeeded' as const, output: 'x', predictMs: 2000, metrics: {} };
    const ended = { type: 'ended' as const, outcome, logs: '', acceptedAfterMs: 0 };
    await runner.report({ id, attempt: job?.attempt ?? 0, events: [ended] });

    expect(await json('GET', `/v1/predictions/${id}`)).toMatchObject({
      status: 'succeeded',
      metrics: { predict_time: 2, total_time: 902 },
      cost: { sku: 'gpu-t4', billed_seconds: 2, micro_usd: 450 },
    });
  });

  it('one whose setup went past its time ends as such, and costs nothing', async () => {
    const id = await predict();
    passSeconds(600);
    const failure = { code: 'setup_timed_out' as const, message: 'Setup took longer than 600 s.' };
    const director = test.api.dispatch.protocolFor({ role: 'director' });
    await director.refuse({ pool, failure, logs: 'loading weights\n' });

    expect(await json('GET', `/v1/predictions/${id}`)).toMatchObject({
      status: 'failed',
      code: 'setup_timed_out',
      fault: 'model',
      retryable: true,
      logs: 'loading weights\n',
      cost: { billed_seconds: 0, micro_usd: 0 },
    });
  });
});
