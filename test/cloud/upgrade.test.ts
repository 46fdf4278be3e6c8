import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type ApiProcess, startCloud, type TestCloud } from '../support/cloud.ts';
import { callsOf } from '../support/local-server.ts';
import { releaseBefore, sourcesOf } from '../support/release.ts';
import { outputs, readEvents } from '../support/sse.ts';

let cloud: TestCloud;
let before: string;
let newApi: ApiProcess;
let oldApi: ApiProcess;

beforeAll(async () => {
  before = await sourcesOf(releaseBefore.cloud);
  cloud = await startCloud({ apis: 1 });
  for (const name of ['noop', 'counter']) await cloud.push(`test/models/${name}`);
  const [first] = cloud.apis;
  if (!first) throw new Error('An api was asked for');
  newApi = first;
  oldApi = await cloud.startApi({}, before);
});
afterAll(async () => cloud?.stop());

const on = (api: ApiProcess) => callsOf({ url: api.url, token: cloud.token });

async function serveTogether(): Promise<void> {
  for (let round = 0; round < 6; round += 1) {
    const [one, other] = round % 2 === 0 ? [newApi, oldApi] : [oldApi, newApi];
    const text = randomUUID();
    const path = '/models/local/noop/predictions';
    const made = await on(one).json('POST', path, { input: { text } }, { prefer: 'wait' });
    expect(await on(other).endOf(made.id)).toMatchObject({ status: 'succeeded', output: text });
  }
  const path = '/models/local/counter/predictions';
  const created = await on(oldApi).json('POST', path, { input: { n: 10, delay: 0.05 } });
  const { pathname, search } = new URL(created.urls.stream);
  const events = await Array.fromAsync(readEvents(`${newApi.url}${pathname}${search}`));
  expect(outputs(events)).toEqual(Array.from({ length: 10 }, (_, at) => String(at)));
}

it('an api of the release before and one of today serve together, with runners of today', async () => {
  await serveTogether();
});

it('and with runners of the release before', async () => {
  await cloud.director.stop();
  await cloud.startDirector(before);

  await serveTogether();
});
