import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { makeGate } from '../runner/instance.ts';
import { scriptedModel } from '../runner/scripted-model.ts';
import { imageOf } from '../support/node-agent.ts';
import { showOnFailure, World, type WorldModel } from './world.ts';

/** After this long without work an instance is stopped; runners tell of 5 s and more. */
const idleSeconds = 7;
const within = { timeout: 50_000, interval: 50 };

let world: World;

showOnFailure(() => world);
beforeAll(async () => {
  world = await World.start();
  await world.startDirector({ MIMEO_IDLE_SECONDS: String(idleSeconds) });
});
afterAll(() => world?.stop());

async function waitingOf(id: string): Promise<string | undefined> {
  return (await world.json('GET', `/predictions/${id}`)).waiting?.phase;
}

it('a prediction to zero instances waits for a machine, an image and a setup, says so, and runs', async () => {
  const gate = await makeGate();
  const setup = `\n        while not os.path.exists("${gate.path}set-up"): time.sleep(0.005)`;
  const image = imageOf(await scriptedModel({ setup }));
  const model = await world.addModel('walker', image, 'gpu-t4');
  const letPull = world.images.hold(model.image);

  const { id } = await world.predict(model, { script: 'say:hello' });

  await expect.poll(() => waitingOf(id)).toBe('node');
  const [pod] = await world.untilPods(model, 1);
  const scheduled = async () => {
    const [waiting] = await world.pods(model);
    return waiting?.status.conditions.find(({ type }) => type === 'PodScheduled');
  };
  await expect.poll(scheduled).toMatchObject({ status: 'False', reason: 'Unschedulable' });
  // A machine of another SKU changes nothing.
  const other = await world.startNode({ sku: 'cpu' });
  await expect.poll(async () => (await scheduled())?.status).toBe('False');
  expect(other.pods()).toEqual([]);
  expect(await waitingOf(id)).toBe('node');

  const node = await world.startNode({ sku: 'gpu-t4', gpus: 1 });
  await expect.poll(() => waitingOf(id)).toBe('image');
  letPull();
  await expect.poll(() => waitingOf(id)).toBe('setup');
  await gate.open('set-up');

  const prediction = await world.untilEnded(id);
  expect(prediction).toMatchObject({ status: 'succeeded', output: 'hello' });
  expect(node.pods().map((one) => one.pod.metadata.name)).toEqual([pod?.metadata.name]);
});

it('instances come with the jobs that wait, and only idle ones go', async () => {
  const gate = await makeGate();
  const model = await world.addModel('scaled', imageOf(await scriptedModel()));
  const long = await world.predict(model, { script: 'wait:long', gate: gate.path });
  const short = await world.predict(model, { script: 'wait:short', gate: gate.path });
  await Promise.all([long, short].map(({ id }) => world.until(id, { status: 'processing' })));
  const both = await world.untilPods(model, 2);
  const busy = both.map(({ metadata }) => metadata.name);

  await gate.open('short');
  await world.until(short.id, { status: 'succeeded' });

  const [left] = await world.untilPods(model, 1);
  expect(busy).toContain(left?.metadata.name);
  expect(await world.json('GET', `/predictions/${long.id}`)).toMatchObject({ status: 'processing' });
  await gate.open('long');
  await world.until(long.id, { status: 'succeeded' });
  await world.untilPods(model, 0);
});

it('a ping keeps an instance for longer than it may idle', async () => {
  const model = await world.addModel('pinged', imageOf(await scriptedModel()));
  const first = await world.predict(model, { script: 'say:1' });
  await world.until(first.id, { status: 'succeeded' });
  const [pod] = await world.untilPods(model, 1);
  const readyAt = Date.now();

  for (let pings = 1; pings <= 3; pings++) await pingAfter(model, readyAt + pings * (idleSeconds - 2) * 1000);

  expect(Date.now() - readyAt).toBeGreaterThan(2 * idleSeconds * 1000);
  const [same] = await world.pods(model);
  expect(same?.metadata.name).toBe(pod?.metadata.name);
  expect(same?.metadata.deletionTimestamp).toBeUndefined();
});

/** A prediction that is made at that time (epoch ms). */
async function pingAfter(model: WorldModel, at: number): Promise<void> {
  await vi.waitUntil(() => Date.now() >= at, within);
  const { id } = await world.predict(model, { script: 'say:ping' });
  await world.until(id, { status: 'succeeded' });
}
