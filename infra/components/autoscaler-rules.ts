/** One rule of RBAC. */
export interface AccessRule {
  readonly apiGroups: string[];
  readonly resources: string[];
  readonly verbs: string[];
  readonly resourceNames?: string[];
}

const read = ['get', 'list', 'watch'];

/**
 * What the autoscaler does in the cluster.
 * Source: kubernetes/autoscaler, charts/cluster-autoscaler/templates/clusterrole.yaml.
 * @param name of its status and of the lease by which it is the only one
 */
export function autoscalerRules(name: string): {
  readonly everywhere: readonly AccessRule[];
  /** In the namespace that it runs in. */
  readonly own: readonly AccessRule[];
} {
  return {
    everywhere: [
      { apiGroups: ['', 'events.k8s.io'], resources: ['events'], verbs: ['create', 'patch'] },
      { apiGroups: [''], resources: ['pods/eviction'], verbs: ['create'] },
      { apiGroups: [''], resources: ['pods/status'], verbs: ['update'] },
      { apiGroups: [''], resources: ['nodes'], verbs: [...read, 'update', 'patch', 'delete'] },
      {
        apiGroups: [''],
        resources: [
          'namespaces',
          'pods',
          'services',
          'replicationcontrollers',
          'persistentvolumeclaims',
          'persistentvolumes',
        ],
        verbs: read,
      },
      { apiGroups: ['apps'], resources: ['daemonsets', 'replicasets', 'statefulsets'], verbs: read },
      { apiGroups: ['batch'], resources: ['jobs', 'cronjobs'], verbs: read },
      { apiGroups: ['policy'], resources: ['poddisruptionbudgets'], verbs: read },
      {
        apiGroups: ['storage.k8s.io'],
        resources: ['storageclasses', 'csinodes', 'csidrivers', 'csistoragecapacities', 'volumeattachments'],
        verbs: read,
      },
      {
        apiGroups: ['resource.k8s.io'],
        resources: ['deviceclasses', 'resourceclaims', 'resourceslices'],
        verbs: read,
      },
    ],
    own: [
      { apiGroups: [''], resources: ['configmaps'], verbs: ['create', 'list', 'watch'] },
      {
        apiGroups: [''],
        resources: ['configmaps'],
        resourceNames: [`${name}-status`, `${name}-priority-expander`],
        verbs: ['get', 'update', 'delete', 'watch'],
      },
      { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['create'] },
      {
        apiGroups: ['coordination.k8s.io'],
        resources: ['leases'],
        resourceNames: [name],
        verbs: ['get', 'update'],
      },
    ],
  };
}
