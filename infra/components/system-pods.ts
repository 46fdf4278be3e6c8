import { systemLabel } from '../../services/core/kubernetes-names.ts';

/** What the pods of the platform itself have in common: small arm64 machines, and nothing that they do not need. */
export const systemPod = {
  nodeSelector: { [systemLabel]: 'true', 'kubernetes.io/arch': 'arm64' },
  securityContext: {
    runAsNonRoot: true,
    runAsUser: 1000,
    runAsGroup: 1000,
    fsGroup: 1000,
    seccompProfile: { type: 'RuntimeDefault' },
  },
  priorityClassName: 'system-cluster-critical',
} as const;

/** What a container of theirs may do: nothing but run. */
export const systemContainer = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
};
