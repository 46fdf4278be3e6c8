import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, realpath, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { CreateBucketCommand } from '@aws-sdk/client-s3';
import { CreateQueueCommand } from '@aws-sdk/client-sqs';
import { FleetTokens } from '../../services/api/fleet-tokens.ts';
import { push } from '../../services/api/routes/versions-push.ts';
import { newToken } from '../../services/core/ids.ts';
import type { Model } from '../../services/core/model.ts';
import { streamKeyOf } from '../../services/core/signing-keys.ts';
import { Accounts } from '../../services/data/accounts.ts';
import { Models } from '../../services/data/models.ts';
import { createS3Client } from '../../services/ports/objects/s3.ts';
import { createSqsClient } from '../../services/ports/queue/sqs.ts';
import { createDynamoClient, createDynamoTable } from '../../services/ports/table/dynamodb.ts';
import type { Table } from '../../services/ports/table/port.ts';
import { packFolder } from '../../services/registrar/pack.ts';
import { SourceRegistrar } from '../../services/registrar/source.ts';
import { startBalancer } from './balancer.ts';
import { type EmulatedAws, makeTable, startEmulatedAws } from './emulated-aws.ts';
import { callsOf, type RunningPlatform, type StartPlatform } from './local-server.ts';
import { processesIn } from './processes.ts';
import { type ServiceProcess, startService } from './service-process.ts';
import { startValkey, type ValkeyServer } from './valkey.ts';

const repository = resolve(import.meta.dirname, '../..');
/** A Python environment takes many seconds to make, so all test homes share them. */
const environments = join(repository, '.cache/test-environments');
const tableName = 'mimeo-test';
const bucket = 'mimeo-test-outputs';
const queuePrefix = 'mimeo-test-jobs-';

/** One api process of the platform. */
export interface ApiProcess extends ServiceProcess {
  readonly url: string;
}

/** The platform over an emulated cloud: api processes behind a load balancer, a director with its fleet in another. */
export interface TestCloud extends RunningPlatform {
  readonly aws: EmulatedAws;
  readonly valkey: ValkeyServer;
  readonly table: Table;
  readonly signingKey: Buffer;
  /** The folder of the director's fleet. */
  readonly home: string;
  /** The apis that run, in the order of their starts. */
  readonly apis: readonly ApiProcess[];
  /** What every service is given. */
  readonly env: Readonly<Record<string, string>>;
  /** Starts one more, of another release where `root` has its sources; requests go to it from now on. */
  startApi(env?: Readonly<Record<string, string>>, root?: string): Promise<ApiProcess>;
  /** Sends requests only to these from now on. */
  balance(apis: readonly ApiProcess[]): void;
  startDirector(root?: string): Promise<ServiceProcess>;
  readonly director: ServiceProcess;
  /** Of account `local` unless said otherwise. */
  addToken(account?: string): Promise<string>;
  revoke(token: string): Promise<void>;
}

export interface CloudOptions {
  /** @default 2 */
  readonly apis?: number;
  /** More variables for the apis. */
  readonly env?: Readonly<Record<string, string>>;
  /** More variables for the director, and of these what models may see. */
  readonly directorEnv?: Readonly<Record<string, string>>;
}

/** The platform over two api processes, with the example that every platform has. */
export const startCloudPlatform: StartPlatform = async (env) => {
  const cloud = await startCloud({ env });
  await cloud.push('examples/hello-world');
  return cloud;
};

/** Starts everything; a first push makes a Python environment where none is there yet. */
export async function startCloud(options: CloudOptions = {}): Promise<TestCloud> {
  const closers: (() => unknown)[] = [];
  const stop = async () => {
    for (const close of closers.splice(0).reverse()) await close();
  };
  try {
    return await compose(options, closers, stop);
  } catch (error) {
    await stop();
    throw error;
  }
}

async function compose(
  options: CloudOptions,
  closers: (() => unknown)[],
  stop: () => Promise<void>,
): Promise<TestCloud> {
  const [aws, valkey, balancer] = await Promise.all([startEmulatedAws(), startValkey(), startBalancer()]);
  closers.push(
    () => aws.stop(),
    () => valkey.stop(),
    () => balancer.close(),
  );
  const home = await makeFleetHome();
  closers.push(() => removeFleetHome(home));
  const { deadLetterArn, webhookQueueUrl } = await makeResources(aws);
  const signingKey = randomBytes(32);
  const env = {
    AWS_ENDPOINT_URL: aws.client.endpoint,
    AWS_REGION: aws.client.region,
    AWS_ACCESS_KEY_ID: aws.client.credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: aws.client.credentials.secretAccessKey,
    MIMEO_TABLE: tableName,
    MIMEO_REPOSITORY_PREFIX: 'mimeo-test',
    MIMEO_PUSH_ROLE_ARN: 'arn:aws:iam::123456789012:role/mimeo-test-push',
    MIMEO_QUEUE_PREFIX: queuePrefix,
    MIMEO_DEAD_LETTER_ARN: deadLetterArn,
    MIMEO_BUCKET: bucket,
    MIMEO_CHANNEL_URL: valkey.url,
    MIMEO_PUBLIC_URL: balancer.url,
    MIMEO_SIGNING_KEY: signingKey.toString('base64'),
    MIMEO_STREAM_KEY: streamKeyOf(signingKey).toString('base64'),
    MIMEO_WEBHOOK_QUEUE_URL: webhookQueueUrl,
    MIMEO_WEBHOOK_PRIVATE: 'true',
    MIMEO_DRAIN_SECONDS: '5',
    MIMEO_DEREGISTRATION_SECONDS: '0',
  };

  const table = createDynamoTable({
    client: createDynamoClient(aws.client),
    tableName,
    cursorKey: signingKey,
  });
  closers.push(() => table.close());
  const accounts = new Accounts(table);
  const addToken = async (account = 'local') => makeAccount(accounts, account);
  const token = await addToken();
  const apis: ApiProcess[] = [];
  const balance = (those: readonly ApiProcess[]) => balancer.use(those.map(({ url }) => url));
  const startApi: TestCloud['startApi'] = async (more = {}, root) => {
    const variables = { ...env, ...options.env, ...more, MIMEO_PORT: '0' };
    const service = await startService('services/api/main.ts', variables, 'the api is ready', root);
    const api = Object.assign(service, { url: `http://127.0.0.1:${service.ready.port}` });
    apis.push(api);
    balance(apis);
    return api;
  };
  closers.push(async () => Promise.all(apis.map((api) => api.kill())));
  for (let started = 0; started < (options.apis ?? 2); started += 1) await startApi();

  const directors: ServiceProcess[] = [];
  const startDirector = async (root?: string) => {
    const fleetToken = new FleetTokens(signingKey, Date.now).mint({ role: 'director' }, 24 * 3600);
    const variables = {
      MIMEO_URL: balancer.url,
      MIMEO_DIRECTOR_TOKEN: fleetToken,
      MIMEO_HOME: home,
      MIMEO_MAX_INSTANCES: '3',
      MIMEO_DRAIN_GRACE_SECONDS: '1',
      ...options.directorEnv,
    };
    const director = await startService(
      'services/director/main.ts',
      variables,
      'the director is ready',
      root,
    );
    directors.push(director);
    return director;
  };
  closers.push(async () => Promise.all(directors.map((one) => (one.isRunning ? one.stop() : undefined))));
  const director = await startDirector();
  // They have ended before what they speak to does.
  // The apis' own key is not theirs to have.
  const { MIMEO_SIGNING_KEY: _ours, ...functionsEnv } = env;
  const functions = await startService(
    'test/support/cloud-functions.ts',
    { ...functionsEnv, MIMEO_LOG_LEVEL: 'warn' },
    'the functions are ready',
  );
  closers.push(() => functions.stop());

  const registrar = new SourceRegistrar({ home });
  const models = new Models(table);
  return {
    ...callsOf({ url: balancer.url, token }),
    aws,
    valkey,
    table,
    signingKey,
    home,
    apis,
    env,
    startApi,
    balance,
    startDirector,
    director,
    addToken,
    async revoke(secret) {
      const known = await accounts.findToken(secret);
      if (known) await accounts.putToken(secret, { ...known, revokedAt: Date.now() });
    },
    url: balancer.url,
    token,
    push: async (folder, name = folder.split('/').at(-1)) => {
      const model = `local/${name}`;
      await models.create(freshModel(String(name))).catch(() => undefined);
      const { stream } = await packFolder(join(repository, folder));
      const parts = { builder: registrar, models, now: Date.now };
      const { version } = await push(parts, model, stream, () => {});
      return { model, version: version.id };
    },
    stop,
  };
}

/** A token of an account, which is made where there is none of that name. */
export async function makeAccount(accounts: Accounts, account: string): Promise<string> {
  const createdAt = Date.now();
  if (!(await accounts.get(account))) {
    const empty = { githubUrl: null, avatarUrl: null };
    await accounts.put({ username: account, type: 'user', name: account, ...empty, createdAt });
  }
  const secret = newToken();
  const id = randomBytes(6).toString('hex');
  await accounts.putToken(secret, { id, account, name: 'test', createdAt, revokedAt: null });
  return secret;
}

/** A model of account `local` without versions. */
export function freshModel(name: string): Model {
  return {
    owner: 'local',
    name,
    account: 'local',
    visibility: name === 'hello-world' ? 'public' : 'private',
    hardware: 'cpu',
    description: null,
    githubUrl: null,
    paperUrl: null,
    licenseUrl: null,
    coverImageUrl: null,
    createdAt: Date.now(),
    latestVersion: null,
  };
}

/** A folder for the director's fleet, whose Python environments are shared by all tests. */
export async function makeFleetHome(): Promise<string> {
  const home = await realpath(await mkdtemp(join(tmpdir(), 'mimeo-cloud-')));
  await mkdir(environments, { recursive: true });
  await symlink(environments, join(home, 'environments'));
  return home;
}

/** Takes the folder away, and what still runs in it. */
export async function removeFleetHome(home: string): Promise<void> {
  for (const pid of processesIn(home)) process.kill(pid, 'SIGKILL');
  await rm(home, { recursive: true, force: true, maxRetries: 10 });
}

/** What the stack makes. */
async function makeResources(
  aws: EmulatedAws,
): Promise<{ readonly deadLetterArn: string; readonly webhookQueueUrl: string }> {
  const dynamo = createDynamoClient(aws.client);
  const s3 = createS3Client({ ...aws.client, forcePathStyle: true });
  const sqs = createSqsClient(aws.client);
  const LocationConstraint = 'eu-central-1';
  const [webhookQueue] = await Promise.all([
    sqs.send(new CreateQueueCommand({ QueueName: 'mimeo-test-webhooks' })),
    makeTable(dynamo, tableName),
    s3.send(new CreateBucketCommand({ Bucket: bucket, CreateBucketConfiguration: { LocationConstraint } })),
    sqs.send(new CreateQueueCommand({ QueueName: 'mimeo-test-dead-letters' })),
  ]);
  for (const client of [dynamo, s3, sqs]) client.destroy();
  return {
    deadLetterArn: `arn:aws:sqs:${LocationConstraint}:123456789012:mimeo-test-dead-letters`,
    webhookQueueUrl: webhookQueue.QueueUrl ?? '',
  };
}
