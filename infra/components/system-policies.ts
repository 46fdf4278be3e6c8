import * as k8s from '@pulumi/kubernetes';
import type * as pulumi from '@pulumi/pulumi';
import type { ClusterPlace } from './cluster-addons.ts';
import type { NetworkPolicySpec } from './network-policies.ts';

const namespace = 'kube-system';

/** What AWS's own pods may reach: the API server, resolvers and AWS. None of them runs anybody's code. */
export const systemEgress: NetworkPolicySpec = {
  podSelector: {},
  policyTypes: ['Ingress', 'Egress'],
  egress: [{}],
};

/** Whoever may ask for names is answered. */
export const dnsIngress: NetworkPolicySpec = {
  podSelector: { matchLabels: { 'k8s-app': 'kube-dns' } },
  policyTypes: ['Ingress'],
  ingress: [
    {
      from: [{ namespaceSelector: {} }],
      ports: [
        { protocol: 'UDP', port: 53 },
        { protocol: 'TCP', port: 53 },
      ],
    },
  ],
};

/**
 * Policies of the system's own pods. In strict mode CoreDNS reaches no API server without one, never becomes ready, and
 * its add-on would wait for ever: they come before it.
 */
export function createSystemPolicies(
  { childName }: ClusterPlace,
  provider: k8s.Provider,
  parent: pulumi.Resource,
): readonly k8s.networking.v1.NetworkPolicy[] {
  const policies = { 'system-egress': systemEgress, 'dns-ingress': dnsIngress };
  return Object.entries(policies).map(
    ([role, spec]) =>
      new k8s.networking.v1.NetworkPolicy(
        childName(role),
        { metadata: { name: `mimeo-${role}`, namespace }, spec },
        { parent, provider },
      ),
  );
}
