import type * as pulumi from '@pulumi/pulumi';
import type { apiEnvironment } from '../../services/api/env.ts';
import type { StackConfig } from '../config.ts';
import type { Channel } from './channel.ts';
import type { Cluster } from './cluster.ts';
import type { ServiceEnvironment } from './environment.ts';
import type { Jobs } from './jobs.ts';
import type { Outputs } from './outputs.ts';
import type { Registry } from './registry.ts';
import type { Secrets } from './secrets.ts';
import type { Table } from './table.ts';

/** Where tasks listen. */
export const apiPort = 8080;
/** Seconds of silence after which the balancer closes a connection: longer than a client waits for a prediction, 60. */
export const idleTimeoutSeconds = 120;
/** Fargate kills a task so many seconds after it told it to stop, at most. */
export const stopTimeoutSeconds = 120;
/** Within this, which is less, a task has ended its requests; so long the balancer leaves it to them. */
export const drainSeconds = 110;
/** Seconds for which the balancer may still send requests to a task that leaves. */
const deregistrationSeconds = 10;

/** What the api's variables are made of. */
export interface ApiEnvironmentParts {
  readonly config: StackConfig;
  readonly cluster: Cluster;
  readonly table: Table;
  readonly jobs: Jobs;
  readonly outputs: Outputs;
  readonly channel: Channel;
  readonly secrets: Secrets;
  readonly registry: Registry;
  /** What clients call. */
  readonly url: pulumi.Output<string>;
}

/** The api's variables, by its own schema. Secrets are given by their ARNs; the api reads them as it starts. */
export function apiVariablesOf(parts: ApiEnvironmentParts): ServiceEnvironment<typeof apiEnvironment> {
  const { config, cluster, table, jobs, outputs, channel, secrets, registry, url } = parts;
  const { api, logs, prices } = config;
  return {
    MIMEO_PORT: String(apiPort),
    MIMEO_HOST: '0.0.0.0',
    MIMEO_PUBLIC_URL: url,
    MIMEO_LOG_LEVEL: logs.level,
    MIMEO_TABLE: table.name,
    MIMEO_QUEUE_PREFIX: jobs.prefix,
    MIMEO_DEAD_LETTER_ARN: jobs.deadLetterArn,
    ...outputs.variables,
    MIMEO_CHANNEL_URL: channel.url,
    MIMEO_SIGNING_KEY: secrets.signingKeyArn,
    MIMEO_FIRST_TOKEN_SECRET_ARN: secrets.firstTokenArn,
    MIMEO_REPOSITORY_PREFIX: registry.prefix,
    MIMEO_PUSH_ROLE_ARN: registry.pushRoleArn,
    MIMEO_CLUSTER_ISSUER: cluster.issuer,
    MIMEO_DIRECTOR_SERVICE_ACCOUNT: 'mimeo:director',
    MIMEO_RETENTION_SECONDS: String(api.retentionSeconds),
    MIMEO_RATE_PREDICTIONS: String(api.predictionsPerMinute),
    MIMEO_RATE_REQUESTS: String(api.requestsPerMinute),
    MIMEO_MAX_CONCURRENT_PER_ACCOUNT: String(api.concurrentPerAccount),
    MIMEO_MAX_QUEUE: String(api.queuedPerPool),
    MIMEO_MAX_FILE_MB: String(api.maxFileMb),
    MIMEO_CORS_ORIGINS: api.corsOrigins.join(','),
    MIMEO_PRICES: JSON.stringify(prices),
    MIMEO_IDLE_TIMEOUT_SECONDS: String(idleTimeoutSeconds),
    MIMEO_DRAIN_SECONDS: String(drainSeconds),
    MIMEO_DEREGISTRATION_SECONDS: String(deregistrationSeconds),
  };
}
