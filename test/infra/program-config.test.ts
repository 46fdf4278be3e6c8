import * as pulumi from '@pulumi/pulumi';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { readProgramConfig } from '../../infra/program-config.ts';

const good = {
  'aws:region': 'us-east-1',
  'mimeo:cluster': JSON.stringify({ endpointCidrs: ['203.0.113.7/32'] }),
  'mimeo:api': JSON.stringify({ allowedCidrs: ['203.0.113.7/32'] }),
  'mimeo:guardrails': JSON.stringify({ monthlyBudgetUsd: 500 }),
};

beforeEach(async () => {
  await pulumi.runtime.setMocks(
    { newResource: ({ inputs }) => ({ id: '', state: inputs }), call: ({ inputs }) => inputs },
    'mimeo',
    'dev',
    false,
  );
});
afterEach(() => {
  pulumi.runtime.setAllConfig({});
});

it('reads what Pulumi hands over', () => {
  pulumi.runtime.setAllConfig(good);

  expect(readProgramConfig()).toMatchObject({ environment: 'dev', region: 'us-east-1' });
});

it.each(['profile', 'assumeRole', 'allowedAccountIds'])('refuses aws:%s, which it would not heed', (name) => {
  pulumi.runtime.setAllConfig({ ...good, [`aws:${name}`]: 'x' });

  expect(readProgramConfig).toThrow(`aws:${name}: is not heeded, only aws:region is`);
});
