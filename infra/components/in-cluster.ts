import * as k8s from '@pulumi/kubernetes';
import type * as pulumi from '@pulumi/pulumi';
import { systemNamespace } from '../../services/core/kubernetes-names.ts';
import type { StackConfig } from '../config.ts';
import { serviceCidr } from '../config-rules.ts';
import { Autoscaler } from './autoscaler.ts';
import type { Cluster } from './cluster.ts';
import { Component, type StackIdentity } from './component.ts';
import { DevicePlugin } from './device-plugin.ts';
import { Director } from './director.ts';
import type { GpuTier } from './gpu-tier.ts';
import type { Grantee } from './grant.ts';
import { ModelsNamespace } from './models-namespace.ts';
import type { Network } from './network.ts';
import { denyAll } from './network-policies.ts';
import type { ServiceImages } from './service-images.ts';

export interface InClusterArgs {
  readonly identity: StackIdentity;
  readonly config: StackConfig;
  readonly network: Network;
  readonly cluster: Cluster;
  readonly tiers: readonly GpuTier[];
  /** What director and runners call. */
  readonly fleetUrl: pulumi.Output<string>;
  readonly images: ServiceImages;
}

/** What runs in the cluster, and what it may do there. */
export class InCluster extends Component {
  /** Of models. */
  public readonly namespace: string;
  /** Who starts machines. */
  public readonly autoscaler: Grantee;

  constructor(name: string, args: InClusterArgs, opts?: pulumi.ComponentResourceOptions) {
    super('InCluster', name, { ...opts, providers: providersOf(opts, args.cluster.provider) });
    const { identity, config, cluster, tiers, fleetUrl, images } = args;
    const surroundings = { vpcCidr: config.network.cidr, serviceCidr };

    const system = this.#createSystemNamespace();
    const models = new ModelsNamespace(
      this.childName('models'),
      { models: config.models, tiers: tiers.map(({ tier }) => tier), fleetUrl, surroundings },
      { parent: this },
    );
    if (tiers.some(({ sku }) => sku !== 'cpu')) {
      new DevicePlugin(this.childName('device-plugin'), { parent: this });
    }
    const autoscaler = new Autoscaler(
      this.childName('autoscaler'),
      {
        identity,
        cluster,
        version: config.cluster.version,
        namespace: systemNamespace,
        surroundings,
        after: system,
      },
      { parent: this },
    );
    new Director(
      this.childName('director'),
      {
        models: config.models,
        logs: config.logs,
        image: images.director,
        runnerImage: images.runner,
        tiers: tiers.map(({ tier }) => tier),
        fleetUrl,
        surroundings,
        after: [...system, models.created],
      },
      { parent: this },
    );
    this.namespace = models.namespace;
    this.autoscaler = autoscaler.grantee;
    this.registerOutputs({ namespace: this.namespace });
  }

  #createSystemNamespace(): readonly pulumi.Resource[] {
    const namespace = new k8s.core.v1.Namespace(
      this.childName('system'),
      {
        metadata: {
          name: systemNamespace,
          labels: {
            'pod-security.kubernetes.io/enforce': 'restricted',
            'pod-security.kubernetes.io/enforce-version': 'latest',
          },
        },
      },
      this.child(),
    );
    const policy = new k8s.networking.v1.NetworkPolicy(
      this.childName('system-deny-all'),
      { metadata: { name: 'deny-all', namespace: systemNamespace }, spec: denyAll },
      this.child({ dependsOn: [namespace] }),
    );
    return [namespace, policy];
  }
}

/** The stack's providers, and the one of the cluster. */
function providersOf(
  opts: pulumi.ComponentResourceOptions | undefined,
  kubernetes: k8s.Provider,
): pulumi.ProviderResource[] | Record<string, pulumi.ProviderResource> {
  const given = opts?.providers ?? {};
  return Array.isArray(given) ? [...given, kubernetes] : { ...given, kubernetes };
}
