import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { type CostTags, costTagsCheck, countedTags, lookAtCostTags } from '../../../infra/cli/cost-tags.ts';
import { configOf } from '../components/parts.ts';

/** Cost Explorer, which the emulated cloud does not have. */
let bills: Server;
let isDenied = false;
let asked: unknown;

beforeAll(async () => {
  bills = createServer(async (request, response) => {
    asked = JSON.parse(await text(request));
    const tags = [{ TagKey: 'mimeo:environment', Type: 'UserDefined', Status: 'Inactive' }];
    const denied = { __type: 'AccessDeniedException', message: 'Linked account is not allowed' };
    response.writeHead(isDenied ? 400 : 200, { 'content-type': 'application/x-amz-json-1.1' });
    response.end(JSON.stringify(isDenied ? denied : { CostAllocationTags: tags }));
  }).listen(0, '127.0.0.1');
  await once(bills, 'listening');
});
afterAll(() => {
  bills?.close();
});
beforeEach(() => {
  const { port } = z.object({ port: z.int() }).parse(bills.address());
  vi.stubEnv('AWS_ENDPOINT_URL', `http://127.0.0.1:${port}`);
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'test');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'test');
});
afterEach(() => {
  vi.unstubAllEnvs();
  isDenied = false;
});

it('asks which tags AWS counts costs by', async () => {
  expect(await lookAtCostTags()).toEqual({ statuses: { 'mimeo:environment': 'Inactive' } });
  expect(asked).toMatchObject({ TagKeys: ['mimeo:environment', 'mimeo:tier'] });
});

it('says why it is not told', async () => {
  isDenied = true;

  expect(await lookAtCostTags()).toEqual({ problem: 'AccessDeniedException: Linked account is not allowed' });
});

const active: CostTags = { statuses: { 'mimeo:environment': 'Active', 'mimeo:tier': 'Active' } };
const inactive: CostTags = { statuses: { 'mimeo:environment': 'Inactive' } };
const unknown: CostTags = { statuses: {} };

function check(tags: CostTags, settings: object = {}) {
  return costTagsCheck(configOf({ guardrails: { monthlyBudgetUsd: 5000, ...settings } }), tags);
}

it('is content where budgets see what is spent, or will', () => {
  expect(check(active, { tierBudgetsUsd: { 'gpu-t4': 10 } })).toMatchObject({ level: 'ok' });
  expect(check(inactive, { activateCostTags: true })).toMatchObject({ level: 'ok' });
});

it('warns where budgets see nothing, and what does not stop', () => {
  expect(check(inactive)).toMatchObject({
    level: 'warn',
    found: 'AWS does not count by mimeo:environment in this account: budgets see $0',
    mend: 'mimeo:guardrails: { activateCostTags: true } in one stack of the account',
  });
  expect(check(inactive, { stopAtBudget: true }).found).toContain('and GPU tiers are never stopped');
  expect(check(unknown).mend).toContain('a day after the first up, when AWS has billed them');
  expect(check(unknown, { activateCostTags: true })).toMatchObject({ level: 'warn' });
  expect(check({ problem: 'AccessDenied: no' })).toMatchObject({ level: 'warn' });
});

it('asks for the tag of tiers only where a tier has a budget', () => {
  const stackOnly: CostTags = { statuses: { [countedTags.stack]: 'Active' } };

  expect(check(stackOnly)).toMatchObject({ level: 'ok' });
  expect(check(stackOnly, { tierBudgetsUsd: { 'gpu-t4': 10 } }).found).toContain('mimeo:tier');
});
