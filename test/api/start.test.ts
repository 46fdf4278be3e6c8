import { CreateSecretCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createSecretsManager } from '../../services/ports/secrets/secrets-manager.ts';
import { createDynamoClient } from '../../services/ports/table/dynamodb.ts';
import { type EmulatedAws, makeTable, startEmulatedAws } from '../support/emulated-aws.ts';
import { type ServiceProcess, startService } from '../support/service-process.ts';
import { startValkey, type ValkeyServer } from '../support/valkey.ts';

const tableName = 'mimeo-start';

let aws: EmulatedAws;
let valkey: ValkeyServer;
let apis: ServiceProcess[] = [];

beforeAll(async () => {
  [aws, valkey] = await Promise.all([startEmulatedAws(), startValkey()]);
  const dynamo = createDynamoClient(aws.client);
  await makeTable(dynamo, tableName);
  dynamo.destroy();
});
afterAll(async () => {
  await Promise.all(apis.map((api) => api.kill()));
  await Promise.all([valkey.stop(), aws.stop()]);
});

async function makeSecret(Name: string, SecretString?: string): Promise<string> {
  const manager = new SecretsManagerClient(aws.client);
  const { ARN = '' } = await manager.send(new CreateSecretCommand({ Name, SecretString }));
  manager.destroy();
  return ARN;
}

it('two apis that are given their secrets by ARN start at once, and one first token opens both', async () => {
  const firstToken = await makeSecret('first-token');
  const env = {
    AWS_ENDPOINT_URL: aws.client.endpoint,
    AWS_REGION: aws.client.region,
    AWS_ACCESS_KEY_ID: aws.client.credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: aws.client.credentials.secretAccessKey,
    MIMEO_TABLE: tableName,
    MIMEO_QUEUE_PREFIX: 'mimeo-start-',
    MIMEO_BUCKET: 'mimeo-start',
    MIMEO_CHANNEL_URL: valkey.url,
    MIMEO_PUBLIC_URL: 'http://127.0.0.1',
    MIMEO_REPOSITORY_PREFIX: 'mimeo-start',
    MIMEO_PUSH_ROLE_ARN: 'arn:aws:iam::123456789012:role/mimeo-start-push',
    MIMEO_SIGNING_KEY: await makeSecret('signing-key', Buffer.alloc(32, 7).toString('base64')),
    MIMEO_FIRST_TOKEN_SECRET_ARN: firstToken,
    MIMEO_PORT: '0',
    MIMEO_DRAIN_SECONDS: '1',
    MIMEO_DEREGISTRATION_SECONDS: '0',
  };

  apis = await Promise.all([1, 2].map(() => startService('services/api/main.ts', env, 'the api is ready')));

  const secrets = createSecretsManager(aws.client);
  const token = await secrets.get(firstToken);
  secrets.close();
  const answers = await Promise.all(
    apis.map(async ({ ready }) => {
      const headers = { Authorization: `Bearer ${token}` };
      const answer = await fetch(`http://127.0.0.1:${ready.port}/v1/account`, { headers });
      return [answer.status, await answer.json()];
    }),
  );
  expect(answers).toMatchObject([
    [200, { username: 'admin' }],
    [200, { username: 'admin' }],
  ]);
  expect(apis.map(({ said }) => said()).join('\n')).not.toContain(token);
});
