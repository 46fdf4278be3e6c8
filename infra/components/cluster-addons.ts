import * as aws from '@pulumi/aws';
import type * as pulumi from '@pulumi/pulumi';

/** Whose children something is, and in which cluster. */
export interface ClusterPlace {
  readonly clusterName: pulumi.Input<string>;
  /** Of Kubernetes, such as 1.36. */
  readonly version: string;
  readonly childName: (role: string) => string;
}

/**
 * An add-on that EKS keeps running, in the newest version that suits the cluster's: EKS itself would keep the one that it
 * has begun with, whatever becomes of the cluster.
 * @param addonName such as coredns
 */
export function createAddon(
  { clusterName, version, childName }: ClusterPlace,
  addonName: string,
  opts: pulumi.CustomResourceOptions,
  configuration?: object,
): aws.eks.Addon {
  const newest = aws.eks.getAddonVersionOutput(
    { addonName, kubernetesVersion: version, mostRecent: true },
    { parent: opts.parent },
  );
  return new aws.eks.Addon(
    childName(addonName),
    {
      clusterName,
      addonName,
      addonVersion: newest.version,
      resolveConflictsOnCreate: 'OVERWRITE',
      resolveConflictsOnUpdate: 'OVERWRITE',
      ...(configuration === undefined ? {} : { configurationValues: JSON.stringify(configuration) }),
    },
    opts,
  );
}

/**
 * The network of pods. In strict mode a pod reaches nothing until its policies are in force; in standard mode it reaches
 * everything for its first seconds, which a model would use.
 * Source: EKS user guide, "Limit Pod traffic with Kubernetes network policies".
 */
export function createCni(place: ClusterPlace, opts: pulumi.CustomResourceOptions): aws.eks.Addon {
  return createAddon(place, 'vpc-cni', opts, {
    enableNetworkPolicy: 'true',
    env: { NETWORK_POLICY_ENFORCING_MODE: 'strict' },
  });
}
