import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { PredictionBody } from '../../services/api/schemas.ts';
import { sharedPoolId } from '../../services/core/pool.ts';
import { demandTopic } from '../../services/data/progress.ts';
import { openApi, type TestApi } from '../support/api.ts';

let test: TestApi;
let pool: string;
beforeEach(async () => {
  test = await openApi();
  const { id: version } = await test.addModel({ name: 'echo' });
  pool = sharedPoolId({ model: 'local/echo', version, hardware: 'cpu' });
});
afterEach(async () => test.close());

const create = async () => test.call('POST', '/v1/models/local/echo/predictions', { input: { text: 'x' } });

it('a prediction that is stored is there, also where its message could not be sent', async () => {
  vi.spyOn(test.queue, 'send').mockRejectedValue(new Error('throttled'));
  const wake = vi.fn();
  await test.channel.subscribe(demandTopic, wake);

  const response = await create();

  expect(response.status).toBe(201);
  const { id } = (await response.json()) as PredictionBody;
  expect((await test.flow.jobs.get(id))?.status).toBe('starting');
  expect(wake).toHaveBeenCalled();
});

it('a job that was given back is, also where its message could not be sent', async () => {
  await create();
  const runner = test.api.dispatch.protocolFor({ role: 'runner', pool });
  const leased = await runner.lease({ instance: 'i', waitSeconds: 0 });
  vi.spyOn(test.queue, 'send').mockRejectedValue(new Error('throttled'));

  await runner.giveBack({ id: leased?.id ?? '', attempt: 1 });

  expect((await test.flow.jobs.get(leased?.id ?? ''))?.status).toBe('starting');
});
