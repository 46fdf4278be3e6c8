import { gpusOf, instanceTypesOf, isGpuGroup, maxSizeOf, nodeGroupType } from '../machines.ts';
import { stackPolicy } from '../policy.ts';
import type { StackResource } from '../resource.ts';
import { numberByEnvironment } from '../settings.ts';

export const totalGpus = stackPolicy({
  name: 'total-gpus',
  description: 'All node groups together should have no more GPUs than their environment allows.',
  enforcement: 'mandatory',
  settings: {
    gpus: numberByEnvironment('GPUs at most, of all node groups at their maximum', {
      dev: 4,
      staging: 16,
      prod: 64,
    }),
  },
  check(resources, { environment, settings: { gpus } }) {
    const groups = resources.filter(({ type }) => type === nodeGroupType);
    const untold = groups.filter((group) => isGpuGroup(group) && !isTold(group));
    if (untold.length > 0) {
      return untold.map((resource) => ({
        resource,
        message: 'must have literal instance types and a literal maxSize, so that its GPUs can be counted',
      }));
    }
    const counts = groups.map((group) => ({ name: group.name, count: gpusAtMost(group) }));
    const total = counts.reduce((sum, { count }) => sum + count, 0);
    if (total <= gpus) return [];
    const parts = counts.filter(({ count }) => count > 0).map(({ name, count }) => `${name} ${count}`);
    const message = `${environment} may have ${total} GPUs (${parts.join(', ')}), over its ${gpus}; lower a tier's max, or raise gpus of total-gpus`;
    return [{ message }];
  },
});

function isTold(group: StackResource): boolean {
  return maxSizeOf(group) !== undefined && instanceTypesOf(group).length > 0;
}

function gpusAtMost(group: StackResource): number {
  const each = Math.max(0, ...instanceTypesOf(group).map(gpusOf));
  return each * (maxSizeOf(group) ?? 0);
}
