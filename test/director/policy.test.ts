import { expect, it } from 'vitest';
import { defaultPolicy } from '../../services/core/scaling.ts';
import { createPolicies } from '../../services/director/policy.ts';
import { aPool } from './world.ts';

const now = Date.parse('2026-11-20T12:00:00Z');
const office = { start: '0 8 * * 1-5', end: '0 18 * * 1-5', timezone: 'UTC', min: 3 };

it('a policy is reckoned once, and anew when its time has come or its owner has changed it', () => {
  const policyOf = createPolicies(defaultPolicy);
  const pool = { ...aPool('model'), scaling: { schedule: [office] } };

  const first = policyOf(pool, now);
  expect(first.min).toBe(3);
  expect(policyOf(structuredClone(pool), now + 1000)).toBe(first);
  expect(policyOf(pool, Date.parse('2026-11-20T18:00:00Z')).min).toBe(0);
  expect(policyOf({ ...pool, scaling: { min: 1 } }, now).min).toBe(1);
  expect(policyOf(aPool('model'), now)).toBe(defaultPolicy);
});

it('a clock that was put back is believed', () => {
  const policyOf = createPolicies(defaultPolicy);
  const pool = { ...aPool('model'), scaling: { schedule: [office] } };
  policyOf(pool, now);

  expect(policyOf(pool, now - 12 * 3_600_000).min).toBe(0);
});
