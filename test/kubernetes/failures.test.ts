import { afterAll, beforeAll, expect, it } from 'vitest';
import { scriptedModel } from '../runner/scripted-model.ts';
import { imageOf } from '../support/node-agent.ts';
import { showOnFailure, World } from './world.ts';

let world: World;

showOnFailure(() => world);
beforeAll(async () => {
  world = await World.start();
  await world.startNode();
  await world.startDirector();
});
afterAll(() => world?.stop());

it('a version whose image is gone fails its predictions, and says which image', async () => {
  const model = await world.addModel('imageless', undefined);

  const { id } = await world.predict(model, { script: 'say:hello' });

  const prediction = await world.untilEnded(id);
  expect(prediction.status).toBe('failed');
  expect(prediction.error).toContain('not in its registry');
});

it('a setup that fails three times is not tried a fourth, and its log is shown', async () => {
  const setup =
    'print("looking for weights", flush=True); time.sleep(0.3); raise RuntimeError("there are no weights")';
  const model = await world.addModel('broken', imageOf(await scriptedModel({ setup })));

  const { id } = await world.predict(model, { script: 'say:hello' });

  const prediction = await world.untilEnded(id);
  expect(prediction.status).toBe('failed');
  expect(prediction.error).toContain('there are no weights');
  expect(prediction.error).toContain('3 failed starts');
  expect(prediction.logs).toContain('RuntimeError: there are no weights');
  await world.untilPods(model, 0);
});
