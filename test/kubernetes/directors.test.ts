import { afterAll, beforeAll, expect, it } from 'vitest';
import { modelsNamespace, runnerAccount, tokenAudience } from '../../services/core/kubernetes-names.ts';
import { createHttpFleetProtocol } from '../../services/ports/fleet-protocol/http.ts';
import { makeGate } from '../runner/instance.ts';
import { scriptedModel } from '../runner/scripted-model.ts';
import { imageOf } from '../support/node-agent.ts';
import { showOnFailure, World, type WorldModel } from './world.ts';

let world: World;
let model: WorldModel;
let other: WorldModel;

showOnFailure(() => world);
beforeAll(async () => {
  world = await World.start();
  const image = imageOf(await scriptedModel());
  model = await world.addModel('steady', image);
  other = await world.addModel('other', image);
  await world.startNode();
});
afterAll(() => world?.stop());

it('of two directors one decides, and when it is killed the other goes on', async () => {
  const gate = await makeGate();
  const leader = await world.startDirector();
  await world.startDirector();
  const first = await world.predict(model, { script: 'wait:go', gate: gate.path });
  await world.until(first.id, { status: 'processing' });
  expect(await world.pods(model)).toHaveLength(1);

  await leader.kill();

  const second = await world.predict(model, { script: 'wait:go', gate: gate.path });
  await world.until(second.id, { status: 'processing' });
  // What the one before had made serves on.
  expect(await world.pods(model)).toHaveLength(2);
  await gate.open('go');
  await world.until(first.id, { status: 'succeeded' });
  await world.until(second.id, { status: 'succeeded' });
});

it('predictions run on while the API server is away, and pods are made once it is back', async () => {
  const gate = await makeGate();
  const before = (await world.pods(model)).map(({ metadata }) => metadata.name);
  let waiting = '';

  await world.cluster.restart(async () => {
    const { id } = await world.predict(model, { script: 'say:meanwhile' });
    expect(await world.untilEnded(id)).toMatchObject({ status: 'succeeded', output: 'meanwhile' });
    waiting = (await world.predict(other, { script: 'wait:go say:later', gate: gate.path })).id;
  });

  await world.until(waiting, { status: 'processing' });
  expect(await world.pods(other)).toHaveLength(1);
  const after = (await world.pods(model)).map(({ metadata }) => metadata.name);
  expect(before).toEqual(expect.arrayContaining(after));
  await gate.open('go');
  await world.until(waiting, { status: 'succeeded', output: 'later' });
});

it("a pod's token opens its own pool and no other", async () => {
  const { id } = await world.predict(model, { script: 'say:hello' });
  await world.until(id, { status: 'succeeded' });
  const [pod] = await world.pods(model);
  const { name, uid } = pod?.metadata ?? { name: '', uid: '' };
  const token = await world.cluster.serviceAccountToken(modelsNamespace, runnerAccount, tokenAudience, {
    name,
    uid,
  });
  const as = (pool: string) => createHttpFleetProtocol({ url: world.url, token, pool });

  await expect(as(model.pool.id).lease({ instance: name, waitSeconds: 0 })).resolves.toBeNull();
  await expect(as(other.pool.id).lease({ instance: name, waitSeconds: 0 })).rejects.toMatchObject({
    code: 'forbidden',
  });
});
