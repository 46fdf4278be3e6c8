import { describe, expect, it } from 'vitest';
import { planFaults } from './plan.ts';

function killsOf(plan: ReturnType<typeof planFaults>): number {
  let kills = 0;
  for (const fault of plan) {
    if (fault.kind === 'disk' || fault.kind === 'receiver') continue;
    kills += fault.kind === 'platform' && fault.againAfterMs !== null ? 2 : 1;
  }
  return kills;
}

describe('a plan of faults', () => {
  it('is the same for the same seed, and another for another', () => {
    expect(planFaults(7, 50)).toEqual(planFaults(7, 50));
    expect(planFaults(7, 50)).not.toEqual(planFaults(8, 50));
  });

  it('has as many kills as were asked for, and faults of each kind', () => {
    for (let seed = 0; seed < 200; seed += 1) {
      const plan = planFaults(seed, 200);
      expect(killsOf(plan)).toBeGreaterThanOrEqual(200);
      expect(killsOf(plan)).toBeLessThanOrEqual(201);
      const kinds = new Set(plan.map(({ kind }) => kind));
      expect([...kinds].sort()).toEqual(['disk', 'model', 'platform', 'receiver', 'runner']);
    }
  });
});
