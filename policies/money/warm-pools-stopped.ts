import { nodeGroupType } from '../machines.ts';
import { resourcePolicy } from '../policy.ts';
import { at, isGiven } from '../resource.ts';

export const warmPoolsStopped = resourcePolicy({
  name: 'warm-pools-stopped',
  description: 'Machines that stand by should be stopped, so that they cost their disks alone.',
  enforcement: 'mandatory',
  types: [nodeGroupType],
  check({ props }) {
    if (!isGiven(props, 'warmPoolConfig')) return [];
    // Without a state EKS stops them.
    const state = at(props, 'warmPoolConfig', 'poolState') ?? 'STOPPED';
    if (state === 'STOPPED') return [];
    return ['keeps machines that stand by running or hibernated; set warmPoolConfig.poolState to STOPPED'];
  },
});
