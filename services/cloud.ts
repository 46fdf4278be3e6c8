import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import type {
  bucketVariables,
  channelVariables,
  objectsVariables,
  queueVariables,
  signingKeyVariables,
  tableVariables,
  Variables,
} from './core/cloud-variables.ts';
import { createNoChannel } from './ports/channel/none.ts';
import type { Channel } from './ports/channel/port.ts';
import { connectValkeyChannel } from './ports/channel/valkey.ts';
import type { Limits } from './ports/limits/port.ts';
import { connectValkeyLimits } from './ports/limits/valkey.ts';
import type { Objects } from './ports/objects/port.ts';
import { type CloudFrontSigner, createS3Client, createS3Objects } from './ports/objects/s3.ts';
import type { Queue } from './ports/queue/port.ts';
import { createSqsClient, createSqsQueue } from './ports/queue/sqs.ts';
import { createDynamoClient, createDynamoTable } from './ports/table/dynamodb.ts';
import type { Table } from './ports/table/port.ts';

/** An emulated cloud is one process, and answers in its own time. */
const patient = {
  httpAgent: { keepAlive: true, maxSockets: 5000 },
  connectionTimeout: 15_000,
  requestTimeout: 40_000,
  throwOnRequestTimeout: true,
};

function isEmulated(): boolean {
  return process.env.AWS_ENDPOINT_URL !== undefined;
}

/** What is given to those only who need it. */
type KeyVariables = Partial<Variables<typeof signingKeyVariables>>;
type BucketVariables = Variables<typeof bucketVariables> & Partial<Variables<typeof objectsVariables>>;

/** All that `openCloud` takes: keys where a process signs, and a channel where it stands in the channel's network. */
type StoresVariables = Variables<typeof tableVariables & typeof queueVariables> &
  BucketVariables &
  KeyVariables &
  Partial<Variables<typeof channelVariables>>;

/** The stores of a platform in the cloud. */
export interface Cloud {
  readonly table: Table;
  readonly queue: Queue;
  readonly objects: Objects;
  readonly channel: Channel;
  close(): Promise<void>;
}

/** Opens all stores by their variables. Region, credentials and endpoint are the AWS SDK's own (`AWS_REGION`, …). */
export async function openCloud(env: StoresVariables, logger: Logger): Promise<Cloud> {
  const { MIMEO_CHANNEL_URL } = env;
  const channel =
    MIMEO_CHANNEL_URL === undefined ? createNoChannel() : await openChannel({ MIMEO_CHANNEL_URL }, logger);
  const table = openTable(env);
  const queue = openQueue(env);
  return {
    table,
    queue,
    objects: openObjects(env),
    channel,
    async close() {
      await Promise.all([channel.close(), queue.close(), table.close()]);
    },
  };
}

/** Only the table, for what needs no more. Without the key its cursors are good in this process only. */
export function openTable(env: Variables<typeof tableVariables> & KeyVariables): Table {
  return createDynamoTable({
    client: createDynamoClient(isEmulated() ? { requestHandler: patient } : {}),
    tableName: env.MIMEO_TABLE,
    cursorKey: env.MIMEO_SIGNING_KEY ?? randomBytes(32),
  });
}

export function openQueue(env: Variables<typeof queueVariables>): Queue {
  return createSqsQueue({
    client: createSqsClient(isEmulated() ? { requestHandler: patient } : {}),
    prefix: env.MIMEO_QUEUE_PREFIX,
    deadLetterArn: env.MIMEO_DEAD_LETTER_ARN,
  });
}

export function openObjects(env: BucketVariables): Objects {
  return createS3Objects({
    // An emulated S3 has no name for each bucket.
    client: createS3Client(isEmulated() ? { forcePathStyle: true, requestHandler: patient } : {}),
    bucket: env.MIMEO_BUCKET,
    cloudFront: cloudFrontOf(env),
  });
}

export async function openLimits(env: Variables<typeof channelVariables>, logger: Logger): Promise<Limits> {
  return await connectValkeyLimits({ url: env.MIMEO_CHANNEL_URL, logger });
}

export async function openChannel(env: Variables<typeof channelVariables>, logger: Logger): Promise<Channel> {
  return await connectValkeyChannel({ url: env.MIMEO_CHANNEL_URL, logger });
}

/** @throws Error where only some of its variables are set */
function cloudFrontOf(env: BucketVariables): CloudFrontSigner | undefined {
  const {
    MIMEO_CLOUDFRONT_URL: url,
    MIMEO_CLOUDFRONT_KEY_PAIR_ID: keyPairId,
    MIMEO_CLOUDFRONT_PRIVATE_KEY: privateKey,
  } = env;
  if (url === undefined && keyPairId === undefined && privateKey === undefined) return undefined;
  if (url === undefined || keyPairId === undefined || privateKey === undefined) {
    throw new Error(
      'The environment is not right:\n  MIMEO_CLOUDFRONT_URL, MIMEO_CLOUDFRONT_KEY_PAIR_ID and ' +
        'MIMEO_CLOUDFRONT_PRIVATE_KEY are set together, or none of them',
    );
  }
  return { url: url.replace(/\/+$/, ''), keyPairId, privateKey };
}
