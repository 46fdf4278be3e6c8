import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { ConfigError } from '../../../infra/config.ts';
import { ConfigFileError, environmentsOf, readStackConfig } from '../../../infra/plan/read-config.ts';
import { root } from './fixture.ts';

const good = `config:
  aws:region: us-west-2
  mimeo:cluster: { endpointCidrs: [203.0.113.7/32] }
  mimeo:api: { allowedCidrs: [203.0.113.7/32] }
  mimeo:guardrails: { monthlyBudgetUsd: 500 }
`;

async function folderWith(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'mimeo-plan-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  for (const [name, text] of Object.entries({ 'Pulumi.yaml': 'name: mimeo\n', ...files })) {
    await writeFile(join(folder, name), text);
  }
  return folder;
}

async function failure(files: Readonly<Record<string, string>>, environment = 'dev'): Promise<Error> {
  const folder = await folderWith(files);
  try {
    readStackConfig(environment, folder);
  } catch (error) {
    return error as Error;
  }
  throw new Error('it was read');
}

describe('the configuration of an environment', () => {
  test.each(['dev', 'staging', 'prod'])('of this repository can be read: %s', (environment) => {
    expect(readStackConfig(environment, root)).toMatchObject({ project: 'mimeo', environment });
  });

  test("is what the file says under the project's name, in the region of aws:region", async () => {
    const folder = await folderWith({
      'Pulumi.dev.yaml': `${good}  mimeo:tiers: { gpu-t4: { max: 3 } }\n  other:thing: 1\nencryptionsalt: v1:abc\n`,
    });

    const config = readStackConfig('dev', folder);

    expect(config.region).toBe('us-west-2');
    expect(config.tiers).toMatchObject([{ sku: 'gpu-t4', max: 3 }]);
  });

  test('says what of aws: would come to nothing', async () => {
    const error = await failure({ 'Pulumi.dev.yaml': `${good}  aws:profile: work\n` });

    expect(error).toBeInstanceOf(ConfigError);
    expect(error.message).toContain('aws:profile: is not heeded');
  });

  test('has its mistakes told all at once', async () => {
    const error = await failure({
      'Pulumi.dev.yaml': `${good}  mimeo:tiers: { cpu: { max: -1 } }\n  mimeo:nonsense: 1\n`,
    });

    expect(error).toBeInstanceOf(ConfigError);
    expect(error.message).toContain('2 mistakes');
  });
});

describe('a file that cannot be read is told of in one sentence', () => {
  test.each([
    [
      'an environment that there is not',
      { 'Pulumi.dev.yaml': good, 'Pulumi.prod.yaml': good },
      'test',
      'there are dev, prod',
    ],
    ['no environment at all', {}, 'dev', 'there is none in'],
    ['a name that is no file of an environment', { 'Pulumi.dev.yaml': good }, '../dev', 'there are dev'],
    ['broken YAML', { 'Pulumi.dev.yaml': 'config: [' }, 'dev', 'Pulumi.dev.yaml cannot be read'],
    ['settings that are no settings', { 'Pulumi.dev.yaml': 'config: 3\n' }, 'dev', 'takes settings under'],
    ['a project without a name', { 'Pulumi.yaml': 'runtime: nodejs\n' }, 'dev', 'Pulumi.yaml takes a name'],
    [
      'an encrypted value',
      { 'Pulumi.dev.yaml': `${good}  mimeo:outputs: { expireDays: { secure: AAAB } }\n` },
      'dev',
      'mimeo:outputs.expireDays is encrypted',
    ],
  ])('%s', async (_what, files, environment, message) => {
    const error = await failure(files as Record<string, string>, environment);

    expect(error).toBeInstanceOf(ConfigFileError);
    expect(error.message).toContain(message);
    expect(error.message.split('\n')).toHaveLength(1);
  });

  test('no project', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'mimeo-plan-'));
    onTestFinished(() => rm(folder, { recursive: true }));

    expect(() => readStackConfig('dev', folder)).toThrow(`There is no Pulumi.yaml in ${folder}.`);
  });
});

test('environments are those that have a file', () => {
  expect(environmentsOf(root)).toEqual(['dev', 'prod', 'staging']);
});
