import { CreateSecretCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { resolveSecrets } from '../services/secrets.ts';
import { type EmulatedAws, startEmulatedAws } from './support/emulated-aws.ts';

let aws: EmulatedAws;
let manager: SecretsManagerClient;

beforeAll(async () => {
  aws = await startEmulatedAws();
  manager = new SecretsManagerClient(aws.client);
  // As in a task of ECS: the SDK finds all it needs in the environment.
  vi.stubEnv('AWS_ENDPOINT_URL', aws.client.endpoint);
  vi.stubEnv('AWS_REGION', aws.client.region);
  vi.stubEnv('AWS_ACCESS_KEY_ID', aws.client.credentials.accessKeyId);
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', aws.client.credentials.secretAccessKey);
});
afterAll(async () => {
  vi.unstubAllEnvs();
  manager.destroy();
  await aws.stop();
});

async function makeSecret(Name: string, SecretString?: string): Promise<string> {
  const { ARN = '' } = await manager.send(new CreateSecretCommand({ Name, SecretString }));
  return ARN;
}

it('puts the text of a secret in the place of its ARN, line ends and all', async () => {
  const key = '-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----\n';
  const pem = await makeSecret('pem', key);
  const signing = await makeSecret('signing', 'c2lnbmluZw==');

  const env = await resolveSecrets({ KEY: pem, MIMEO_SIGNING_KEY: signing, PLAIN: 'as it is' });

  expect(env).toEqual({ KEY: key, MIMEO_SIGNING_KEY: 'c2lnbmluZw==', PLAIN: 'as it is' });
});

it('leaves alone what is meant as an ARN', async () => {
  const arn = await makeSecret('token', 'secret');
  const queue = 'arn:aws:sqs:eu-central-1:123456789012:dead';

  const env = await resolveSecrets({ MIMEO_FIRST_TOKEN_SECRET_ARN: arn, MIMEO_DEAD: queue });

  expect(env).toEqual({ MIMEO_FIRST_TOKEN_SECRET_ARN: arn, MIMEO_DEAD: queue });
});

it('names every variable whose secret cannot be read, and shows none of those that can', async () => {
  const there = await makeSecret('there', 'do-not-show-this');
  const empty = await makeSecret('empty');
  const gone = 'arn:aws:secretsmanager:eu-central-1:123456789012:secret:gone-abcdef';

  const failure = await resolveSecrets({ A: there, B: gone, C: empty }).catch(
    (error: Error) => error.message,
  );

  expect(failure).toMatch(
    /^The environment is not right:\n {2}B: its secret .+\n {2}C: its secret has no text$/,
  );
  expect(failure).not.toContain('do-not-show-this');
});
