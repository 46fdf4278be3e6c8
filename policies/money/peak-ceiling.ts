import { type Policy, stackPolicy } from '../policy.ts';
import type { MonthlyCost } from '../pricing.ts';
import { numberByEnvironment } from '../settings.ts';

/** @param monthlyCost prices the stack */
export function peakCeiling(monthlyCost: MonthlyCost): Policy {
  return stackPolicy({
    name: 'peak-ceiling',
    description: 'A stack should cost no more than its ceiling in a month with everything at its maximum.',
    enforcement: 'mandatory',
    settings: {
      monthlyPeakUsd: numberByEnvironment('USD a month at most with everything at its configured maximum', {
        dev: 2000,
        staging: 6000,
        prod: 60_000,
      }),
    },
    check(resources, { environment, settings: { monthlyPeakUsd } }) {
      const { peak } = monthlyCost(resources);
      if (peak <= monthlyPeakUsd) return [];
      const message = `${environment} may cost ${peak.toFixed(2)} USD a month with everything at its maximum, over its ceiling of ${monthlyPeakUsd}; lower a tier's max, or raise monthlyPeakUsd of peak-ceiling`;
      return [{ message }];
    },
  });
}
