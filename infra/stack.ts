import * as aws from '@pulumi/aws';
import * as pulumi from '@pulumi/pulumi';
import { Api } from './components/api.ts';
import { Channel } from './components/channel.ts';
import { Cluster } from './components/cluster.ts';
import { whoRunsThis } from './components/cluster-access.ts';
import { costTags, type StackIdentity } from './components/component.ts';
import { GpuTier } from './components/gpu-tier.ts';
import { Guardrails } from './components/guardrails.ts';
import { InCluster } from './components/in-cluster.ts';
import { Jobs } from './components/jobs.ts';
import { Metering } from './components/metering.ts';
import { Network } from './components/network.ts';
import { Observability } from './components/observability.ts';
import { Outputs } from './components/outputs.ts';
import { Registrar } from './components/registrar.ts';
import { Registry } from './components/registry.ts';
import { Secrets } from './components/secrets.ts';
import { ServiceImages } from './components/service-images.ts';
import { Sweeper } from './components/sweeper.ts';
import { Table } from './components/table.ts';
import { Webhooks } from './components/webhooks.ts';
import { zonesOf } from './components/zones.ts';
import type { StackConfig } from './config.ts';

/** What a stack says when it stands. */
export interface StackOutputs {
  /** What clients call: their base URL. */
  readonly url: pulumi.Output<string>;
  /** A command that prints the first admin token. */
  readonly firstToken: pulumi.Output<string>;
  readonly kubeconfig: pulumi.Output<string>;
  /** Where models' images lie: REGISTRY/PREFIX. */
  readonly registry: pulumi.Output<string>;
  /** Of CloudWatch; or that there is none, because Pulumi warns of an output that is not there at each run. */
  readonly dashboard: pulumi.Output<string>;
  /** For the operator's commands (`npx mimeo ledger`, `dlq`, `accounts`). */
  readonly table: pulumi.Output<string>;
  readonly queuePrefix: string;
  readonly deadLetterArn: pulumi.Output<string>;
}

export interface StackInputs {
  readonly config: StackConfig;
  /** The folder of the bundles that `npm run build` makes: SERVICE/main.mjs. */
  readonly bundles: string;
}

/** The whole platform of one environment; reads from top to bottom like the picture in docs/architecture.md. */
export async function createStack({ config, bundles }: StackInputs): Promise<StackOutputs> {
  const { project, environment, region, protection, logs } = config;
  const identity: StackIdentity = { project, environment, region };
  const provider = new aws.Provider('aws', {
    region: region as aws.Region,
    defaultTags: { tags: costTags(identity) },
  });
  const opts = { providers: { aws: provider } };
  const runner = await whoRunsThis({ provider });

  // Where everything stands.
  const zones = await zonesOf(config.network, { provider });
  const network = new Network('network', { identity, logs, zones, settings: config.network }, opts);

  // The control plane's stores.
  const table = new Table('table', { identity, protection }, opts);
  const jobs = new Jobs('jobs', { identity }, opts);
  const outputs = new Outputs(
    'outputs',
    {
      identity,
      settings: config.outputs,
      corsOrigins: config.api.corsOrigins,
      isProtected: protection.deletion,
    },
    opts,
  );
  const channel = new Channel('channel', { identity, network, settings: config.channel }, opts);
  const secrets = new Secrets('secrets', { identity, isProtected: protection.deletion }, opts);
  const registry = new Registry('registry', { identity, settings: config.registry }, opts);
  const images = new ServiceImages('images', { identity, settings: config.images }, opts);

  // The capacity plane.
  const cluster = new Cluster(
    'cluster',
    { identity, network, logs, isProtected: protection.deletion, runner, settings: config.cluster },
    opts,
  );
  const tiers = config.tiers.map(
    (tier) => new GpuTier(`tier-${tier.sku}`, { identity, network, cluster, tier }, opts),
  );

  // What clients call.
  const api = new Api(
    'api',
    {
      identity,
      config,
      network,
      cluster,
      table,
      jobs,
      outputs,
      channel,
      secrets,
      registry,
      image: images.api,
    },
    opts,
  );
  // What the change feed and schedules call.
  const functions = { identity, logs, settings: config.functions, bundles, table };
  const webhooks = new Webhooks('webhooks', { ...functions, outputs, secrets, publicUrl: api.url }, opts);
  const metering = new Metering('metering', { ...functions, outputs }, opts);
  const registrar = new Registrar('registrar', { ...functions, registry }, opts);
  const sweeper = new Sweeper('sweeper', { ...functions, jobs, outputs, webhooks, config }, opts);

  const inCluster = new InCluster(
    'in-cluster',
    { identity, config, network, cluster, tiers, fleetUrl: api.fleetUrl, images },
    opts,
  );

  // Who watches, and who pays.
  const observability = new Observability(
    'observability',
    { identity, config, api, table, jobs, channel, cluster, tiers, webhooks, metering, registrar, sweeper },
    opts,
  );
  new Guardrails('guardrails', { identity, config, tiers, autoscaler: inCluster.autoscaler }, opts);

  pulumi.log.debug(`fleet: ${inCluster.namespace}`);
  return {
    url: api.url,
    firstToken: secrets.firstTokenCommand,
    kubeconfig: cluster.kubeconfigCommand,
    registry: registry.address,
    dashboard: observability.dashboardUrl ?? pulumi.output('none: observability.dashboard is off'),
    table: table.name,
    queuePrefix: jobs.prefix,
    deadLetterArn: jobs.deadLetterArn,
  };
}
