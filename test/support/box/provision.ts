import {
  CreateTableCommand,
  DeleteTableCommand,
  DescribeTableCommand,
  type DynamoDBClient,
} from '@aws-sdk/client-dynamodb';
import {
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  paginateListObjectsV2,
  type S3Client,
} from '@aws-sdk/client-s3';
import { CreateQueueCommand, DeleteQueueCommand, type SQSClient } from '@aws-sdk/client-sqs';
import type { runtime } from '@pulumi/pulumi';
import { z } from 'zod';
import { mockResource } from '../../../infra/plan/mock-outputs.ts';
import type { EmulatedAws } from '../emulated-aws.ts';
import type { Place } from './aws-calls.ts';

type Args = runtime.MockResourceArgs;
type Result = runtime.MockResourceResult;

/** Makes a program's resources in the emulated cloud, and takes them away again. */
export interface Provisioner {
  readonly create: (args: Args) => Promise<Result>;
  /** Types that were made really. */
  readonly made: ReadonlySet<string>;
  /** Removes everything in the reverse order, as a destroy does. */
  destroy(): Promise<void>;
}

export interface Clients {
  readonly dynamo: DynamoDBClient;
  readonly s3: S3Client;
  readonly sqs: SQSClient;
}

/** What makes one kind of resource. @returns its outputs beside its inputs, and how it is removed */
type Make = (
  inputs: Readonly<Record<string, unknown>>,
  name: string,
) => Promise<{ readonly id: string; readonly outputs: object; readonly remove: () => Promise<unknown> }>;

/** What is not made really is answered by `others`. */
export function createProvisioner(
  aws: EmulatedAws,
  clients: Clients,
  place: Place,
  others: (args: Args) => Result = mockResource,
): Provisioner {
  const makers = makersOf(aws, clients, place);
  const made = new Set<string>();
  const removals: (() => Promise<unknown>)[] = [];
  return {
    made,
    async create(args) {
      const make = makers[args.type];
      if (!make) return others(args);
      const { id, outputs, remove } = await make(args.inputs, args.name);
      made.add(args.type);
      removals.push(remove);
      return { id, state: { ...others(args).state, ...outputs } };
    },
    async destroy() {
      for (const remove of removals.splice(0).reverse()) await remove();
    },
  };
}

const attributes = z.array(z.object({ name: z.string(), type: z.enum(['S', 'N', 'B']) }));
const indexes = z.array(
  z.object({
    name: z.string(),
    hashKey: z.string().optional(),
    rangeKey: z.string().optional(),
    keySchemas: z.array(z.object({ attributeName: z.string(), keyType: z.string() })).optional(),
    projectionType: z.enum(['ALL', 'INCLUDE', 'KEYS_ONLY']),
    nonKeyAttributes: z.array(z.string()).optional(),
  }),
);

function makersOf(aws: EmulatedAws, clients: Clients, place: Place): Readonly<Record<string, Make>> {
  const call = caller(aws, place);
  return {
    'aws:dynamodb/table:Table': async (inputs) => makeTable(clients.dynamo, inputs),
    'aws:sqs/queue:Queue': async (inputs, name) => makeQueue(clients.sqs, inputs, name, place),
    'aws:s3/bucket:Bucket': async (inputs, name) => {
      const Bucket = String(inputs.bucket ?? `${name}-box`);
      // The first region of S3 is named by naming none.
      const LocationConstraint = place.region as 'eu-central-1';
      const elsewhere =
        place.region === 'us-east-1' ? {} : { CreateBucketConfiguration: { LocationConstraint } };
      await clients.s3.send(new CreateBucketCommand({ Bucket, ...elsewhere }));
      const remove = async () => {
        // A bucket of this stack goes with what is in it (`forceDestroy`).
        if (inputs.forceDestroy === true) await emptyBucket(clients.s3, Bucket);
        await clients.s3.send(new DeleteBucketCommand({ Bucket }));
      };
      return { id: Bucket, outputs: { bucket: Bucket, arn: `arn:aws:s3:::${Bucket}` }, remove };
    },
    'aws:iam/role:Role': async (inputs, name) => {
      const RoleName = String(inputs.name ?? name);
      const AssumeRolePolicyDocument = String(inputs.assumeRolePolicy);
      await call.query('iam', { Action: 'CreateRole', RoleName, AssumeRolePolicyDocument });
      const remove = async () => call.query('iam', { Action: 'DeleteRole', RoleName });
      const arn = `arn:aws:iam::${place.account}:role/${RoleName}`;
      return { id: RoleName, outputs: { name: RoleName, arn }, remove };
    },
    'aws:iam/rolePolicy:RolePolicy': async (inputs, PolicyName) => {
      const RoleName = String(inputs.role);
      const policy = { RoleName, PolicyName };
      await call.query('iam', { Action: 'PutRolePolicy', ...policy, PolicyDocument: String(inputs.policy) });
      const remove = async () => call.query('iam', { Action: 'DeleteRolePolicy', ...policy });
      return { id: `${RoleName}:${PolicyName}`, outputs: {}, remove };
    },
    'aws:secretsmanager/secret:Secret': async (inputs, name) => {
      const Name = String(inputs.name ?? name);
      const { ARN } = await call.json('secretsmanager', 'CreateSecret', {
        Name,
        ClientRequestToken: id(name),
      });
      const remove = async () =>
        call.json('secretsmanager', 'DeleteSecret', { SecretId: ARN, ForceDeleteWithoutRecovery: true });
      return { id: String(ARN), outputs: { arn: ARN, name: Name }, remove };
    },
    'aws:secretsmanager/secretVersion:SecretVersion': async (inputs, name) => {
      const value = { SecretId: inputs.secretId, SecretString: unwrap(inputs.secretString) };
      await call.json('secretsmanager', 'PutSecretValue', { ...value, ClientRequestToken: id(name) });
      return { id: name, outputs: {}, remove: async () => undefined };
    },
    'aws:ecr/repository:Repository': async (inputs, name) => {
      const repositoryName = String(inputs.name ?? name);
      const target = 'AmazonEC2ContainerRegistry_V20150921';
      await call.json('ecr', 'CreateRepository', { repositoryName }, target);
      const remove = async () =>
        call.json('ecr', 'DeleteRepository', { repositoryName, force: true }, target);
      const repositoryUrl = `${place.account}.dkr.ecr.${place.region}.amazonaws.com/${repositoryName}`;
      return { id: repositoryName, outputs: { repositoryUrl }, remove };
    },
    'aws:lambda/function:Function': async (inputs, name) => {
      const FunctionName = String(inputs.name ?? name);
      const variables = z
        .object({ variables: z.record(z.string(), z.string()).optional() })
        .parse(inputs.environment ?? {});
      await call.rest('lambda', 'POST', '/2015-03-31/functions', {
        FunctionName,
        Runtime: inputs.runtime,
        Role: inputs.role,
        Handler: inputs.handler,
        Architectures: inputs.architectures,
        Environment: { Variables: variables.variables },
        Code: { ZipFile: emptyZip },
      });
      const remove = async () => call.rest('lambda', 'DELETE', `/2015-03-31/functions/${FunctionName}`);
      const arn = `arn:aws:lambda:${place.region}:${place.account}:function:${FunctionName}`;
      return { id: FunctionName, outputs: { name: FunctionName, arn }, remove };
    },
  };
}

/** What Pulumi marks as a secret comes in an envelope. */
function unwrap(value: unknown): unknown {
  return z.object({ value: z.unknown() }).safeParse(value).data?.value ?? value;
}

/** An archive with nothing in it: the code runs from the bundle. */
const emptyZip = Buffer.from(`504b0506${'00'.repeat(18)}`, 'hex').toString('base64');

/** Tokens have 32 characters at least. */
function id(name: string): string {
  return name.padEnd(32, '0').slice(0, 64);
}

async function makeTable(dynamo: DynamoDBClient, inputs: Readonly<Record<string, unknown>>) {
  const TableName = String(inputs.name);
  const keys = (hash: unknown, range: unknown) => [
    { AttributeName: String(hash), KeyType: 'HASH' as const },
    ...(range === undefined ? [] : [{ AttributeName: String(range), KeyType: 'RANGE' as const }]),
  ];
  await dynamo.send(
    new CreateTableCommand({
      TableName,
      BillingMode: inputs.billingMode as 'PAY_PER_REQUEST',
      AttributeDefinitions: attributes
        .parse(inputs.attributes)
        .map(({ name, type }) => ({ AttributeName: name, AttributeType: type })),
      KeySchema: keys(inputs.hashKey, inputs.rangeKey),
      GlobalSecondaryIndexes: indexes.parse(inputs.globalSecondaryIndexes).map((index) => {
        const by = (kind: string) => index.keySchemas?.find(({ keyType }) => keyType === kind)?.attributeName;
        return {
          IndexName: index.name,
          KeySchema: keys(index.hashKey ?? by('HASH'), index.rangeKey ?? by('RANGE')),
          Projection: {
            ProjectionType: index.projectionType,
            ...(index.nonKeyAttributes ? { NonKeyAttributes: index.nonKeyAttributes } : {}),
          },
        };
      }),
      StreamSpecification: {
        StreamEnabled: inputs.streamEnabled === true,
        StreamViewType: inputs.streamViewType as 'NEW_IMAGE',
      },
    }),
  );
  const { Table } = await dynamo.send(new DescribeTableCommand({ TableName }));
  const remove = async () => dynamo.send(new DeleteTableCommand({ TableName }));
  return { id: TableName, outputs: { arn: Table?.TableArn, streamArn: Table?.LatestStreamArn }, remove };
}

async function makeQueue(
  sqs: SQSClient,
  inputs: Readonly<Record<string, unknown>>,
  name: string,
  place: Place,
) {
  const QueueName = String(inputs.name ?? name);
  const attribute = (value: unknown) => (value === undefined ? [] : [String(value)]);
  const given = {
    VisibilityTimeout: attribute(inputs.visibilityTimeoutSeconds),
    MessageRetentionPeriod: attribute(inputs.messageRetentionSeconds),
    RedrivePolicy: attribute(inputs.redrivePolicy),
    SqsManagedSseEnabled: attribute(inputs.sqsManagedSseEnabled),
  };
  const Attributes = Object.fromEntries(
    Object.entries(given).flatMap(([key, [value]]) => (value === undefined ? [] : [[key, value]])),
  );
  const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName, Attributes }));
  const arn = `arn:aws:sqs:${place.region}:${place.account}:${QueueName}`;
  const remove = async () => sqs.send(new DeleteQueueCommand({ QueueUrl }));
  return { id: QueueUrl ?? '', outputs: { name: QueueName, url: QueueUrl, arn }, remove };
}

async function emptyBucket(s3: S3Client, Bucket: string): Promise<void> {
  for await (const { Contents = [] } of paginateListObjectsV2({ client: s3 }, { Bucket })) {
    for (const { Key } of Contents) await s3.send(new DeleteObjectCommand({ Bucket, Key }));
  }
}

/** Requests by AWS's protocols for services whose clients the project does not need. */
function caller({ client }: EmulatedAws, { region }: Place) {
  const scope = (service: string) =>
    `AWS4-HMAC-SHA256 Credential=test/20260101/${region}/${service}/aws4_request, SignedHeaders=host, Signature=0`;
  const send = async (service: string, path: string, init: RequestInit): Promise<string> => {
    const headers = { authorization: scope(service), ...init.headers };
    const response = await fetch(`${client.endpoint}${path}`, { method: 'POST', ...init, headers });
    const text = await response.text();
    if (!response.ok) throw new Error(`${service} answered ${response.status}: ${text}`);
    return text;
  };
  const parse = (text: string) => z.record(z.string(), z.unknown()).parse(JSON.parse(text || '{}'));
  return {
    query: async (service: string, parameters: Readonly<Record<string, string>>) =>
      send(service, '/', { body: new URLSearchParams({ Version: '2010-05-08', ...parameters }) }),
    json: async (service: string, operation: string, body: object, target = service) =>
      parse(
        await send(service, '/', {
          headers: { 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': `${target}.${operation}` },
          body: JSON.stringify(body),
        }),
      ),
    rest: async (service: string, method: string, path: string, body?: object) =>
      send(service, path, {
        method,
        headers: { 'content-type': 'application/json' },
        body: body === undefined ? null : JSON.stringify(body),
      }),
  };
}
