import { resourcePolicy } from '../policy.ts';
import { at, listAt, type Properties } from '../resource.ts';

export const cacheLimits = resourcePolicy({
  name: 'cache-limits',
  description:
    'A serverless cache should have usage maximums and no minimums, which are billed while unused.',
  enforcement: 'mandatory',
  types: ['aws:elasticache/serverlessCache:ServerlessCache'],
  check({ props }) {
    return [...limitsOf(props, 'dataStorage'), ...limitsOf(props, 'ecpuPerSeconds')];
  },
});

function limitsOf(props: Properties, what: string): readonly string[] {
  const limits = listAt(props, 'cacheUsageLimits', what);
  const messages: string[] = [];
  if (limits.some((limit) => (at(limit, 'minimum') ?? 0) !== 0)) {
    messages.push(
      `has a minimum of ${what}, which is billed while unused; remove cacheUsageLimits.${what}.minimum`,
    );
  }
  if (limits.length === 0 || limits.some((limit) => typeof at(limit, 'maximum') !== 'number')) {
    messages.push(
      `has no literal maximum of ${what}, so that use may cost anything; set cacheUsageLimits.${what}.maximum`,
    );
  }
  return messages;
}
