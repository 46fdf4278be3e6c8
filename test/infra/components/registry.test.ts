import { expect, it } from 'vitest';
import type { StackConfig } from '../../../infra/config.ts';
import { streamKeyOf } from '../../../services/core/signing-keys.ts';
import { createEcrAccess } from '../../../services/ports/registry/ecr.ts';
import { account, allowed, grantee, identity, ofType, only, recordParts, statements } from './parts.ts';

const roleType = 'aws:iam/role:Role';
const pushRole = `arn:aws:iam::${account}:role/mimeo-test-push`;
const repositories = `arn:aws:ecr:us-east-1:${account}:repository/mimeo-test/*`;

async function recordRegistry(settings: StackConfig['registry'] = { keepImages: 50, shareLayers: false }) {
  return await recordParts(async () => {
    const { Registry } = await import('../../../infra/components/registry.ts');
    const registry = new Registry('registry', { identity, settings });
    registry.grantLogin(await grantee('api'));
    registry.grantRead(await grantee('registrar'));
    return { prefix: registry.prefix, address: registry.address, pushRoleArn: registry.pushRoleArn };
  });
}

it('a push makes its repository by the template: private tags for good, encrypted, so many images kept', async () => {
  const recording = await recordRegistry();

  expect(recording.result).toEqual({
    prefix: 'mimeo-test',
    address: `${account}.dkr.ecr.us-east-1.amazonaws.com/mimeo-test`,
    pushRoleArn: pushRole,
  });
  const { inputs } = only(recording, 'aws:ecr/repositoryCreationTemplate:RepositoryCreationTemplate');
  expect(inputs).toMatchObject({
    prefix: 'mimeo-test',
    appliedFors: ['CREATE_ON_PUSH'],
    imageTagMutability: 'IMMUTABLE_WITH_EXCLUSION',
    imageTagMutabilityExclusionFilters: [{ filter: 'latest', filterType: 'WILDCARD' }],
    encryptionConfigurations: [{ encryptionType: 'AES256' }],
  });
  expect(JSON.parse(String(inputs.lifecyclePolicy)).rules).toMatchObject([
    { selection: { countType: 'imageCountMoreThan', countNumber: 50 }, action: { type: 'expire' } },
  ]);
});

it('only the api’s role may hand out logins, by the name that it is given', async () => {
  const recording = await recordRegistry();
  const { loginRoleName } = await import('../../../infra/components/registry.ts');

  const role = ofType(recording, roleType).find(({ inputs }) => inputs.name === 'mimeo-test-push');
  expect(statements(role?.inputs.assumeRolePolicy)).toEqual([
    {
      Effect: 'Allow',
      Principal: { AWS: `arn:aws:iam::${account}:root` },
      Action: ['sts:AssumeRole'],
      Condition: {
        ArnEquals: { 'aws:PrincipalArn': `arn:aws:iam::${account}:role/${loginRoleName(identity)}` },
      },
    },
  ]);
  expect(allowed(recording, 'registry-login-api')).toEqual([`sts:AssumeRole ${pushRole}`]);
});

it('the push role may do exactly what the session policies of logins narrow, under the prefix', async () => {
  const recording = await recordRegistry();

  const actions = allowed(recording, 'registry-repositories-registry-push');
  expect(actions).toEqual([
    `ecr:BatchCheckLayerAvailability ${repositories}`,
    `ecr:BatchGetImage ${repositories}`,
    `ecr:CompleteLayerUpload ${repositories}`,
    `ecr:CreateRepository ${repositories}`,
    'ecr:GetAuthorizationToken *',
    `ecr:GetDownloadUrlForLayer ${repositories}`,
    `ecr:InitiateLayerUpload ${repositories}`,
    `ecr:PutImage ${repositories}`,
    `ecr:UploadLayerPart ${repositories}`,
  ]);
  const login = createEcrAccess({ roleArn: pushRole, prefix: recording.result.prefix });
  expect(`${login.repositoryPrefix('ada')}/model`.startsWith('mimeo-test/')).toBe(true);
  expect(allowed(recording, 'registry-read-registrar')).toEqual([
    `ecr:BatchGetImage ${repositories}`,
    'ecr:GetAuthorizationToken *',
    `ecr:GetDownloadUrlForLayer ${repositories}`,
  ]);
});

it('layers are shared by the account’s repositories only where that is asked for', async () => {
  const settingType = 'aws:ecr/accountSetting:AccountSetting';

  expect(ofType(await recordRegistry(), settingType)).toEqual([]);
  const shared = await recordRegistry({ keepImages: 50, shareLayers: true });
  expect(only(shared, settingType).inputs).toMatchObject({ name: 'BLOB_MOUNTING', value: 'ENABLED' });
});

const digest = 'a'.repeat(64);

async function recordImages(settings: { api?: string; director?: string; runner?: string }) {
  return await recordParts(async () => {
    const { ServiceImages } = await import('../../../infra/components/service-images.ts');
    const images = new ServiceImages('images', { identity, settings });
    return { api: images.api, director: images.director, runner: images.runner };
  });
}

it('images that are named by digest are taken as they are', async () => {
  const names = {
    api: `r.example.com/api@sha256:${digest}`,
    director: `r.example.com/director@sha256:${digest}`,
    runner: `r.example.com/runner@sha256:${digest}`,
  };

  const recording = await recordImages(names);

  expect(recording.result).toEqual(names);
  expect(recording.resources.filter(({ type }) => /ecr/.test(type))).toEqual([]);
});

it('others are built from the checkout, each for where it runs, into repositories that models’ pushes cannot reach', async () => {
  const recording = await recordImages({});

  const built = ofType(recording, 'awsx:ecr:Image').map(({ inputs }) => [inputs.target, inputs.platform]);
  expect(Object.fromEntries(built)).toEqual({
    api: 'linux/arm64',
    director: 'linux/arm64',
    runner: 'linux/amd64',
  });
  expect(recording.result.api).toMatch(/\/mimeo-test-services\/api@sha256:[0-9a-f]{64}$/);
  for (const { inputs } of ofType(recording, 'aws:ecr/repository:Repository')) {
    expect(inputs).toMatchObject({
      imageTagMutability: 'IMMUTABLE',
      imageScanningConfiguration: { scanOnPush: true },
      encryptionConfigurations: [{ encryptionType: 'AES256' }],
    });
    expect(String(inputs.name).startsWith('mimeo-test/')).toBe(false);
  }
});

it('the signing key keeps its first text; the first token is put by the api, and a command prints it', async () => {
  const recording = await recordParts(async () => {
    const { Secrets } = await import('../../../infra/components/secrets.ts');
    const secrets = new Secrets('secrets', { identity, isProtected: false });
    secrets.grantSigningKey(await grantee('api'));
    secrets.grantStreamKey(await grantee('webhooks'));
    secrets.grantFirstToken(await grantee('api'));
    return {
      key: secrets.signingKeyArn,
      stream: secrets.streamKeyArn,
      token: secrets.firstTokenArn,
      command: secrets.firstTokenCommand,
    };
  });

  const { key, stream, token, command } = recording.result;
  const versions = ofType(recording, 'aws:secretsmanager/secretVersion:SecretVersion');
  const textOf = (arn: string) => {
    const [found] = versions.filter((version) => version.inputs.secretId === arn);
    if (!found) throw new Error(`${arn} has no text`);
    const { value } = found.inputs.secretString as { readonly value: string };
    return { bytes: Buffer.from(value, 'base64'), ignoreChanges: found.ignoreChanges };
  };
  expect(textOf(key)).toMatchObject({ bytes: { length: 32 }, ignoreChanges: ['secretString'] });
  // It follows the signing key, whichever that is.
  expect(textOf(stream)).toEqual({ bytes: streamKeyOf(textOf(key).bytes), ignoreChanges: [] });
  expect(command).toBe(
    'aws secretsmanager get-secret-value --region us-east-1 --secret-id mimeo-test-first-token --query SecretString --output text',
  );
  expect(allowed(recording, 'secrets-signing-key-api')).toEqual([`secretsmanager:GetSecretValue ${key}`]);
  expect(allowed(recording, 'secrets-stream-key-webhooks')).toEqual([
    `secretsmanager:GetSecretValue ${stream}`,
  ]);
  expect(allowed(recording, 'secrets-first-token-api')).toEqual([
    `secretsmanager:GetSecretValue ${token}`,
    `secretsmanager:PutSecretValue ${token}`,
  ]);
});
