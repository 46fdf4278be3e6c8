import { parseConfig, type StackConfig } from '../../../infra/config.ts';
import { type RecordedResource, record } from '../../../infra/plan/record.ts';

/** A configuration of an environment, with what differs from the usual. */
export function configOf(settings: Readonly<Record<string, unknown>> = {}): StackConfig {
  return parseConfig({
    project: 'mimeo',
    environment: 'dev',
    region: 'us-east-1',
    settings: {
      network: { nat: 'none' },
      cluster: { endpointCidrs: ['203.0.113.7/32'] },
      tiers: { cpu: { max: 2 }, 'gpu-t4': { max: 1 } },
      api: { allowedCidrs: ['203.0.113.7/32'] },
      guardrails: { monthlyBudgetUsd: 100_000 },
      ...settings,
    },
  });
}

/** Who runs the program. */
export const runner = 'arn:aws:iam::123456789012:user/plan';

/** What the capacity plane of a configuration is made of. */
export async function recordCapacity(config: StackConfig, fleetUrl = 'https://mimeo.example.com') {
  const { project, environment, region, protection, logs } = config;
  return await record(
    async () => {
      const pulumi = await import('@pulumi/pulumi');
      const aws = await import('@pulumi/aws');
      const { Network } = await import('../../../infra/components/network.ts');
      const { Cluster } = await import('../../../infra/components/cluster.ts');
      const { GpuTier } = await import('../../../infra/components/gpu-tier.ts');
      const { InCluster } = await import('../../../infra/components/in-cluster.ts');
      const { zonesOf } = await import('../../../infra/components/zones.ts');
      const identity = { project, environment, region };
      const zones = await zonesOf(config.network, {});
      const opts = { providers: { aws: new aws.Provider('aws', { region: 'us-east-1' }) } };
      const network = new Network('network', { identity, logs, zones, settings: config.network }, opts);
      const cluster = new Cluster(
        'cluster',
        { identity, network, logs, isProtected: protection.deletion, runner, settings: config.cluster },
        opts,
      );
      const tiers = config.tiers.map(
        (tier) => new GpuTier(`tier-${tier.sku}`, { identity, network, cluster, tier }, opts),
      );
      const image = pulumi.output(`registry.example.com/director@sha256:${'d'.repeat(64)}`);
      const runnerImage = pulumi.output(`registry.example.com/runner@sha256:${'e'.repeat(64)}`);
      const inCluster = new InCluster(
        'in-cluster',
        {
          identity,
          config,
          network,
          cluster,
          tiers,
          fleetUrl: pulumi.output(fleetUrl),
          images: { director: image, api: image, runner: runnerImage } as never,
        },
        opts,
      );
      return {
        network: {
          vpcId: network.vpcId,
          publicSubnetIds: network.publicSubnetIds,
          nodeSubnetIds: network.nodeSubnetIds,
          storeSubnetIds: network.storeSubnetIds,
          hasPublicMachines: network.hasPublicMachines,
          egressCidrs: network.egressCidrs,
        },
        cluster: {
          name: cluster.name,
          issuer: cluster.issuer,
          kubeconfigCommand: cluster.kubeconfigCommand,
          securityGroupId: cluster.securityGroupId,
          certificateAuthority: cluster.certificateAuthority,
        },
        tiers: tiers.map(({ sku, nodeGroupName, autoscalingGroupName }) => ({
          sku,
          nodeGroupName,
          autoscalingGroupName,
        })),
        namespace: inCluster.namespace,
      };
    },
    { project, environment },
  );
}

/** Finds one resource by its logical name, and what is in its inputs by a path such as `spec.template`. */
export class Resources {
  readonly all: readonly RecordedResource[];

  constructor(all: readonly RecordedResource[]) {
    this.all = all;
  }

  /** @throws Error where there is none */
  named(name: string): RecordedResource {
    const found = this.all.find((resource) => resource.name === name && resource.isCustom);
    if (!found) throw new Error(`No resource is called ${name}`);
    return found;
  }

  has(name: string): boolean {
    return this.all.some((resource) => resource.name === name);
  }

  /** Logical names of all that one waits for, and what those wait for in turn. */
  behind(name: string): readonly string[] {
    const seen = new Set<string>();
    const waiting = [...this.named(name).dependencies];
    for (let urn = waiting.pop(); urn !== undefined; urn = waiting.pop()) {
      if (seen.has(urn)) continue;
      seen.add(urn);
      waiting.push(...(this.all.find((resource) => resource.urn === urn)?.dependencies ?? []));
    }
    return [...seen].map((urn) => urn.split('::').at(-1) ?? '');
  }

  ofType(type: string): readonly RecordedResource[] {
    return this.all.filter((resource) => resource.type === type);
  }
}
