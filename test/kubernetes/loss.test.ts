import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { modelsNamespace } from '../../services/core/kubernetes-names.ts';
import { leaseSeconds } from '../../services/ports/fleet-protocol/port.ts';
import { makeGate } from '../runner/instance.ts';
import { scriptedModel } from '../runner/scripted-model.ts';
import { imageOf } from '../support/node-agent.ts';
import { showOnFailure, World, type WorldModel } from './world.ts';

const within = { timeout: 50_000, interval: 50 };

let world: World;
let model: WorldModel;

showOnFailure(() => world);
beforeAll(async () => {
  world = await World.start();
  model = await world.addModel('lost', imageOf(await scriptedModel()));
  await world.startDirector();
});
afterEach(() => world.removeNodes());
afterAll(() => world?.stop());

it('a machine that goes in the middle of a run costs the caller time and nothing else', async () => {
  const gate = await makeGate();
  const machine = await world.startNode();
  const { id } = await world.predict(model, { script: 'wait:go say:done', gate: gate.path });
  await world.until(id, { status: 'processing' });
  const [first] = await world.pods(model);

  await machine.remove();
  world.skip(leaseSeconds * 1000);
  await world.startNode();
  await gate.open('go');

  expect(await world.untilEnded(id)).toMatchObject({ status: 'succeeded', output: 'done' });
  await expect.poll(() => world.billed(id)).toHaveLength(1);
  const names = (await world.pods(model)).map(({ metadata }) => metadata.name);
  expect(names).not.toEqual([first?.metadata.name]);
});

it('a pod that is evicted gives its job back before it goes, and another runs it', async () => {
  const gate = await makeGate();
  await world.startNode();
  const { id } = await world.predict(model, { script: 'wait:go say:done', gate: gate.path });
  await world.until(id, { status: 'processing' });
  const [evicted] = await world.pods(model);
  const { name } = evicted?.metadata ?? {};

  // As whoever drains a machine does whose spot price has risen.
  await world.cluster.request('POST', `/api/v1/namespaces/${modelsNamespace}/pods/${name}/eviction`, {
    apiVersion: 'policy/v1',
    kind: 'Eviction',
    metadata: { name, namespace: modelsNamespace },
  });

  // Nobody's lease had to run out.
  await world.until(id, { status: 'processing' });
  await expect
    .poll(async () => (await world.pods(model)).map(({ metadata }) => metadata.name))
    .not.toContain(name);
  await gate.open('go');
  expect(await world.untilEnded(id)).toMatchObject({ status: 'succeeded', output: 'done' });
  await expect.poll(() => world.billed(id)).toHaveLength(1);
});

it('a run whose model is killed for memory is tried once more, on another instance', async () => {
  const gate = await makeGate();
  const machine = await world.startNode();
  const { id } = await world.predict(model, { script: 'wait:go say:done', gate: gate.path });
  await world.until(id, { status: 'processing' });
  const killed = machine.pods().map(({ pod }) => pod.metadata.name);

  for (const pod of machine.pods()) pod.outOfMemory();

  await expect
    .poll(async () => {
      const pods = await world.pods(model);
      return pods.filter(({ metadata }) => !killed.includes(metadata.name)).length;
    }, within)
    .toBe(1);
  await gate.open('go');
  expect(await world.untilEnded(id)).toMatchObject({ status: 'succeeded', output: 'done' });
});
