import { expect, it } from 'vitest';
import { configOf, Resources, recordCapacity } from './capacity.ts';

it('machines without NAT have addresses of their own, and stores reach nothing', async () => {
  const { resources, result } = await recordCapacity(configOf());
  const { inputs } = new Resources(resources).all.find(({ type }) => type === 'awsx:ec2:Vpc') ?? {
    inputs: {},
  };

  console.log(JSON.stringify(result), JSON.stringify(inputs), resources.length);
  expect(result.network.hasPublicMachines).toBe(true);
});
