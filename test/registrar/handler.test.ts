import { ECRClient, GetAuthorizationTokenCommand } from '@aws-sdk/client-ecr';
import type { EventBridgeEvent } from 'aws-lambda';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { Accounts } from '../../services/data/accounts.ts';
import { Models } from '../../services/data/models.ts';
import { createDynamoClient, createDynamoTable } from '../../services/ports/table/dynamodb.ts';
import type { Table } from '../../services/ports/table/port.ts';
import { cogLabels } from '../support/cog-labels.ts';
import { type EmulatedAws, makeTable, startEmulatedAws } from '../support/emulated-aws.ts';
import { startRegistry, type TestRegistry } from '../support/registry.ts';

const repository = 'mimeo/ada/echo';

let aws: EmulatedAws;
let registry: TestRegistry;
let table: Table;
let handler: (event: unknown) => Promise<unknown>;

beforeAll(async () => {
  aws = await startEmulatedAws();
  const { authorizationData } = await new ECRClient(aws.client).send(new GetAuthorizationTokenCommand({}));
  const token = Buffer.from(authorizationData?.[0]?.authorizationToken ?? '', 'base64').toString();
  registry = await startRegistry(token.slice('AWS:'.length));
  const client = createDynamoClient(aws.client);
  await makeTable(client, 'mimeo-test');
  table = createDynamoTable({ client, tableName: 'mimeo-test', cursorKey: 'a secret of the test' });
  const account = { username: 'ada', type: 'user', name: 'Ada', githubUrl: null, avatarUrl: null } as const;
  await new Accounts(table).put({ ...account, createdAt: 0 });
  const environment = {
    MIMEO_TABLE: 'mimeo-test',
    MIMEO_REPOSITORY_PREFIX: 'mimeo',
    MIMEO_REGISTRY_URL: registry.url,
    MIMEO_LOG_LEVEL: 'silent',
    AWS_ENDPOINT_URL: aws.client.endpoint,
    AWS_REGION: aws.client.region,
    AWS_ACCESS_KEY_ID: aws.client.credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: aws.client.credentials.secretAccessKey,
  };
  for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
  ({ handler } = await import('../../services/registrar/main.ts'));
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await table.close();
  await registry.close();
  await aws.stop();
});

/** As EventBridge hands it to a function. */
function pushed(
  digest: string,
  detail: Readonly<Record<string, string>> = {},
): EventBridgeEvent<'ECR Image Action', Readonly<Record<string, string>>> {
  return {
    version: '0',
    id: '13cde686-328b-6117-af20-0e5566167482',
    'detail-type': 'ECR Image Action',
    source: 'aws.ecr',
    account: '123456789012',
    time: '2026-11-21T01:54:34Z',
    region: 'eu-central-1',
    resources: [],
    detail: {
      result: 'SUCCESS',
      'repository-name': repository,
      'image-digest': digest,
      'action-type': 'PUSH',
      'image-tag': 'latest',
      ...detail,
    },
  };
}

it('an event of ECR becomes a version in DynamoDB, once', async () => {
  const digest = registry.putImage(repository, { labels: await cogLabels('noop') });
  const id = digest.slice('sha256:'.length);

  const answers = [await handler(pushed(digest)), await handler(pushed(digest))];

  expect(answers).toMatchObject([
    { version: id, created: true },
    { version: id, created: false },
  ]);
  const models = new Models(table);
  expect(await models.get('ada/echo')).toMatchObject({ latestVersion: id });
  expect(await models.getVersion('ada/echo', id)).toMatchObject({
    image: `${registry.host}/${repository}@${digest}`,
  });
});

it('an event of anything else is left alone', async () => {
  const digest = registry.putImage(repository);
  registry.requests.length = 0;
  const events = [
    pushed(digest, { 'action-type': 'DELETE' }),
    pushed(digest, { result: 'FAILURE' }),
    pushed('latest'),
    { ...pushed(digest), source: 'somebody.else' },
    {},
    null,
  ];

  for (const event of events) expect(await handler(event)).toEqual({ outcome: 'ignored' });
  expect(registry.requests).toEqual([]);
});
