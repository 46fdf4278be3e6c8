import { type Policy, stackPolicy } from '../policy.ts';
import type { MonthlyCost } from '../pricing.ts';
import { numberByEnvironment } from '../settings.ts';

/** @param monthlyCost prices the stack */
export function idleCeiling(monthlyCost: MonthlyCost): Policy {
  return stackPolicy({
    name: 'idle-ceiling',
    description: 'A stack should cost no more than its ceiling in a month in which nobody calls.',
    enforcement: 'mandatory',
    settings: {
      monthlyIdleUsd: numberByEnvironment('USD a month at most while nobody calls', {
        dev: 150,
        staging: 400,
        prod: 1500,
      }),
    },
    check(resources, { environment, settings: { monthlyIdleUsd } }) {
      const { idle } = monthlyCost(resources);
      if (idle <= monthlyIdleUsd) return [];
      const message = `${environment} costs ${idle.toFixed(2)} USD a month with nobody calling, over its ceiling of ${monthlyIdleUsd}; "npx mimeo plan ${environment}" lists what stands, and monthlyIdleUsd of idle-ceiling is the ceiling`;
      return [{ message }];
    },
  });
}
