import { z } from 'zod';

/** What a service asked AWS for, in the words of a policy. */
export interface AwsCall {
  /** Such as `dynamodb:PutItem`. */
  readonly action: string;
  /** ARN, or `*` for what has none. */
  readonly resource: string;
}

export interface AwsRequest {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** Text of what is not a file. */
  readonly body: string;
}

/** Account and region that the emulated cloud answers for. */
export interface Place {
  readonly account: string;
  readonly region: string;
}

const record = z.record(z.string(), z.unknown());

/**
 * The permissions that a request needs. Source: "Actions, resources, and condition keys" of each service in AWS's
 * Service Authorization Reference.
 * @throws Error for a request that this does not know, so that none goes unseen
 */
export function callsOfRequest(request: AwsRequest, place: Place): readonly AwsCall[] {
  const target = request.headers['x-amz-target'];
  if (target !== undefined) {
    const [service = '', operation = ''] = target.split('.');
    const body = record.parse(JSON.parse(request.body || '{}'));
    if (service === 'DynamoDB_20120810') return dynamoCalls(operation, body, place);
    if (service === 'AmazonSQS') return sqsCalls(operation, body, place);
    if (service === 'secretsmanager') return [secretCall(operation, body)];
    if (service.startsWith('AmazonEC2ContainerRegistry')) return [ecrCall(operation, body, place)];
  } else if (request.body.startsWith('Action=AssumeRole') || request.body.includes('&Action=AssumeRole')) {
    const role = new URLSearchParams(request.body).get('RoleArn');
    return [{ action: 'sts:AssumeRole', resource: role ?? '*' }];
  } else if (serviceOfScope(request) === 's3') {
    return [s3Call(request)];
  }
  throw new Error(`No permission is known for ${request.method} ${request.path} ${target ?? request.body}`);
}

/** The service that a request is signed for: `Credential=KEY/DATE/REGION/SERVICE/aws4_request`, here or in the query. */
function serviceOfScope({ headers, path }: AwsRequest): string | undefined {
  const given = headers.authorization ?? decodeURIComponent(path);
  return /Credential=[^/]+\/\d+\/[\w-]+\/([\w-]+)\/aws4_request/.exec(given)?.[1];
}

function dynamoCalls(operation: string, body: Record<string, unknown>, place: Place): readonly AwsCall[] {
  const arnOf = (table: unknown) =>
    `arn:aws:dynamodb:${place.region}:${place.account}:table/${String(table)}`;
  if (operation === 'TransactWriteItems') {
    const items = z.array(z.record(z.string(), record)).parse(body.TransactItems);
    return items.flatMap((item) =>
      Object.entries(item).map(([kind, op]) => ({
        action: `dynamodb:${kind === 'ConditionCheck' ? 'ConditionCheckItem' : `${kind}Item`}`,
        resource: arnOf(op.TableName),
      })),
    );
  }
  if (operation === 'BatchGetItem') {
    const tables = Object.keys(record.parse(body.RequestItems));
    return tables.map((table) => ({ action: 'dynamodb:BatchGetItem', resource: arnOf(table) }));
  }
  const index = body.IndexName === undefined ? '' : `/index/${String(body.IndexName)}`;
  return [{ action: `dynamodb:${operation}`, resource: `${arnOf(body.TableName)}${index}` }];
}

function sqsCalls(operation: string, body: Record<string, unknown>, place: Place): readonly AwsCall[] {
  const name =
    String(body.QueueName ?? '') ||
    String(body.QueueUrl ?? '')
      .split('/')
      .at(-1);
  const resource = `arn:aws:sqs:${place.region}:${place.account}:${name}`;
  // A batch needs the permission of its single form.
  const calls = [{ action: `sqs:${operation.replace(/Batch$/, '')}`, resource }];
  if (operation === 'CreateQueue' && body.tags !== undefined)
    calls.push({ action: 'sqs:TagQueue', resource });
  return calls;
}

function secretCall(operation: string, body: Record<string, unknown>): AwsCall {
  return { action: `secretsmanager:${operation}`, resource: String(body.SecretId) };
}

function ecrCall(operation: string, body: Record<string, unknown>, place: Place): AwsCall {
  const repository = body.repositoryName;
  const arn = `arn:aws:ecr:${place.region}:${place.account}:repository/${String(repository)}`;
  return { action: `ecr:${operation}`, resource: repository === undefined ? '*' : arn };
}

function s3Call({ method, path }: AwsRequest): AwsCall {
  const url = new URL(path, 'http://s3');
  const [bucket = '', ...rest] = url.pathname.slice(1).split('/');
  const key = decodeURIComponent(rest.join('/'));
  const resource = `arn:aws:s3:::${bucket}${key === '' ? '' : `/${key}`}`;
  if (key === '') return { action: 's3:ListBucket', resource };
  const isAbort = method === 'DELETE' && url.searchParams.has('uploadId');
  const actions: Readonly<Record<string, string>> = {
    GET: 's3:GetObject',
    HEAD: 's3:GetObject',
    PUT: 's3:PutObject',
    POST: 's3:PutObject',
    DELETE: isAbort ? 's3:AbortMultipartUpload' : 's3:DeleteObject',
  };
  return { action: actions[method] ?? `s3:${method}`, resource };
}
