import { randomBytes } from 'node:crypto';
import { CreateBucketCommand } from '@aws-sdk/client-s3';
import { pino } from 'pino';
import { type Api, createApi } from '../../services/api/app.ts';
import { ProblemError } from '../../services/core/errors.ts';
import { HardwareCatalogue } from '../../services/core/hardware.ts';
import { newToken } from '../../services/core/ids.ts';
import type { Version } from '../../services/core/version.ts';
import { Accounts } from '../../services/data/accounts.ts';
import { JobFlow } from '../../services/data/job-flow.ts';
import { Jobs } from '../../services/data/jobs.ts';
import { Models } from '../../services/data/models.ts';
import { Pools } from '../../services/data/pools.ts';
import { connectValkeyChannel } from '../../services/ports/channel/valkey.ts';
import { createS3Client, createS3Objects } from '../../services/ports/objects/s3.ts';
import { createSqsClient, createSqsQueue } from '../../services/ports/queue/sqs.ts';
import { createDynamoClient, createDynamoTable } from '../../services/ports/table/dynamodb.ts';
import type { Table } from '../../services/ports/table/port.ts';
import { makeTable, startEmulatedAws } from '../../test/support/emulated-aws.ts';
import { startValkey } from '../../test/support/valkey.ts';
import { RequestCount } from './count-requests.ts';

/** How long data is kept after a job's end. */
export const retentionSeconds = 3600;
const tableName = 'mimeo';
const bucket = 'mimeo-outputs';
const publicUrl = 'https://mimeo.example.com';
const account = 'ada';

/** One process of the api, with clients of its own. */
export interface CountedApi {
  readonly api: Api;
  readonly flow: JobFlow;
  readonly table: Table;
}

/** Two processes' worth of the api over an emulated cloud, whose requests are counted. */
export interface CountedPlatform {
  /** What the two of them ask for. */
  readonly count: RequestCount;
  /** What is asked for on a director's behalf, by a process of its own. */
  readonly directorCount: RequestCount;
  /** Clients speak to one api, runners to the other: what neither has at hand is read. */
  readonly front: CountedApi;
  readonly back: CountedApi;
  readonly control: CountedApi;
  /** Of the model that there is. */
  readonly version: string;
  readonly pool: string;
  readonly pools: Pools;
  /** Notes that so many jobs more, or less, are being run. */
  tellRunning(more: number): void;
  /** Calls back with how many are being run. @returns what stops that */
  onRunning(listener: (running: number) => void): () => void;
  /** Moves the apis' clock on; it goes with the machine's otherwise. */
  pass(seconds: number): void;
  now(): number;
  call(method: string, path: string, body?: object, headers?: Record<string, string>): Promise<Response>;
  close(): Promise<void>;
}

/** Starts it, with a model that nobody has run yet. */
export async function startCountedPlatform(): Promise<CountedPlatform> {
  const [aws, valkey] = await Promise.all([startEmulatedAws(), startValkey()]);
  const [count, directorCount] = [new RequestCount(), new RequestCount()];
  const s3 = createS3Client({ ...aws.client, forcePathStyle: true });
  await s3.send(
    new CreateBucketCommand({
      Bucket: bucket,
      CreateBucketConfiguration: { LocationConstraint: 'eu-central-1' },
    }),
  );
  await makeTable(createDynamoClient(aws.client), tableName);
  const signingKey = randomBytes(32);
  const closers: (() => Promise<void>)[] = [];
  let passedMs = 0;
  const now = () => Date.now() + passedMs;

  async function openOne(counter: RequestCount): Promise<CountedApi> {
    const logger = pino({ level: 'silent' });
    const dynamo = createDynamoClient(aws.client);
    const sqs = createSqsClient(aws.client);
    const objectsClient = createS3Client({ ...aws.client, forcePathStyle: true });
    counter.watch('DynamoDB', dynamo);
    counter.watch('SQS', sqs);
    counter.watch('S3', objectsClient);
    const table = createDynamoTable({ client: dynamo, tableName, cursorKey: signingKey, now });
    const queue = createSqsQueue({ client: sqs, prefix: 'mimeo-' });
    const objects = createS3Objects({ client: objectsClient, bucket });
    const channel = await connectValkeyChannel({ url: valkey.url, logger });
    const jobs = new Jobs(table, objects, { expireDataAfterSeconds: retentionSeconds, now });
    const flow = new JobFlow({ jobs, queue, channel });
    const api = await createApi({
      table,
      queue,
      channel,
      flow,
      hardware: new HardwareCatalogue(),
      builder: {
        build: async () => Promise.reject(new ProblemError('invalid_model', 'Nothing is built here.')),
      },
      maxSourceBytes: 1,
      objects,
      maxFileBytes: 100 * 1024 * 1024,
      publicUrl: () => publicUrl,
      signingKey,
      now,
      logger,
    });
    closers.push(async () => {
      await channel.close();
      await queue.close();
      await table.close();
    });
    return { api, flow, table };
  }

  const [front, back, control] = [await openOne(count), await openOne(count), await openOne(directorCount)];
  const token = await addAccount(front.table, now());
  const version = await addModel(front.table, now());
  const listeners = new Set<(running: number) => void>();
  let running = 0;
  return {
    count,
    directorCount,
    front,
    back,
    control,
    version: version.id,
    pool: `${version.model}:${version.id}@cpu`,
    pools: new Pools(back.table),
    tellRunning(more) {
      running += more;
      for (const listener of listeners) listener(running);
    },
    onRunning(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    pass(seconds) {
      passedMs += seconds * 1000;
    },
    now,
    call: async (method, path, body, headers) =>
      front.api.app.request(`${publicUrl}${path}`, {
        method,
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers },
        ...(body ? { body: JSON.stringify(body) } : {}),
      }),
    async close() {
      for (const close of closers) await close();
      await Promise.all([aws.stop(), valkey.stop()]);
    },
  };
}

async function addAccount(table: Table, createdAt: number): Promise<string> {
  const accounts = new Accounts(table);
  const secret = newToken();
  await accounts.put({
    username: account,
    type: 'user',
    name: 'Ada',
    githubUrl: null,
    avatarUrl: null,
    createdAt,
  });
  await accounts.putToken(secret, { id: 'token-of-ada', account, name: 'bench', createdAt, revokedAt: null });
  return secret;
}

async function addModel(table: Table, createdAt: number): Promise<Version> {
  const models = new Models(table);
  const version: Version = {
    id: 'a'.repeat(64),
    model: `${account}/describe-picture`,
    createdAt,
    cogVersion: '0.23.1',
    openapiSchema: {
      components: {
        schemas: {
          Input: { type: 'object', properties: { text: { type: 'string' } } },
          Output: { type: 'array', items: { type: 'string' }, 'x-cog-array-type': 'iterator' },
        },
      },
    },
    concurrency: 1,
    streams: true,
  };
  await models.create({
    owner: account,
    name: 'describe-picture',
    account,
    visibility: 'private',
    hardware: 'cpu',
    description: null,
    githubUrl: null,
    paperUrl: null,
    licenseUrl: null,
    coverImageUrl: null,
    createdAt,
    latestVersion: null,
  });
  await models.addVersion(version);
  return version;
}
