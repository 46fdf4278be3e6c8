import { resolve } from 'node:path';
import { CreateRepositoryCommand, DescribeRepositoriesCommand, ECRClient } from '@aws-sdk/client-ecr';
import { CreateQueueCommand, ListQueuesCommand, SQSClient } from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { queueName } from '../../services/ports/queue/sqs.ts';
import { type EmulatedAws, startEmulatedAws } from '../support/emulated-aws.ts';
import { engineTools, haveGoTools, howToHaveGoTools } from '../support/go-tools.ts';
import { type Engine, type EngineRun, openEngine } from './engine.ts';
import { type StandInProviders, startStandInProviders } from './stand-in-providers.ts';

const repository = resolve(import.meta.dirname, '../..');
const program = resolve(import.meta.dirname, 'program');
const region = 'us-east-1';

// vitest.config.ts leaves this file out where they are not there.
if (!haveGoTools(engineTools)) throw new Error(howToHaveGoTools(engineTools));

// Each starts the engine, which is in no hurry on a machine that is busy with other things.
describe.sequential("commands around Pulumi's CLI", { timeout: 240_000 }, suite);

function suite(): void {
  let aws: EmulatedAws;
  let providers: StandInProviders;
  let engine: Engine;
  let sqs: SQSClient;
  let ecr: ECRClient;

  beforeAll(async () => {
    aws = await startEmulatedAws();
    sqs = new SQSClient({ ...aws.client, region });
    ecr = new ECRClient({ ...aws.client, region });
    providers = await startStandInProviders();
    engine = await openEngine(program, {
      ...providers.environment,
      AWS_ENDPOINT_URL: aws.client.endpoint,
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test',
    });
  });
  afterAll(async () => {
    sqs?.destroy();
    ecr?.destroy();
    providers?.stop();
    await engine?.remove();
    await aws?.stop();
  });

  /** `npm run COMMAND -- dev …`, where the program lies in a folder of its own. */
  async function infra(
    command: string,
    args: readonly string[] = [],
    env: Readonly<Record<string, string>> = {},
  ): Promise<EngineRun> {
    const main = resolve(repository, 'infra/cli/main.ts');
    const words = [main, command, 'dev', '--folder', engine.folder, ...args];
    return await engine.start(process.execPath, words, { cwd: repository, env });
  }

  it('say what is missing, and change nothing', async () => {
    const { code, said } = await infra('up', ['--yes'], { AWS_ENDPOINT_URL: 'http://127.0.0.1:9' });

    expect(code).toBe(1);
    expect(said).toMatch(/^✗ credentials +AWS in us-east-1 does not take them: .*ECONNREFUSED/m);
    expect(said).toContain('Nothing was changed. --force goes on all the same.');
    expect(providers.standing).toEqual([]);
  });

  it('print their checks as JSON', async () => {
    const { stdout, code } = await infra('up', ['--json']);

    expect(code).toBe(0);
    const { checks } = JSON.parse(stdout) as { checks: { name: string; level: string }[] };
    expect(checks.filter(({ level }) => level === 'fail')).toEqual([]);
    expect(checks.map(({ name }) => name)).toContain('pulumi');
  });

  it('make the stack where there is none, and preview it', async () => {
    const { code, said } = await infra('preview');

    expect(said).toMatch(/\+ \d+ to create/);
    expect(code).toBe(0);
    expect(providers.standing).toEqual([]);
  });

  it("hand their other options to Pulumi, and end with Pulumi's exit code", async () => {
    const { code, said } = await infra('preview', ['--expect-no-changes']);

    expect(said).toContain('no changes were expected');
    expect(code).not.toBe(0);
  });

  it('bring the stack up', async () => {
    const { code, said } = await infra('up', ['--yes', '--skip-preview']);

    expect(said).toContain('queuePrefix');
    expect(code).toBe(0);
    expect(providers.standing.map(({ type }) => type)).toContain('aws:eks/cluster:Cluster');
  });

  it('ask before a teardown, and do nothing where nobody can answer', async () => {
    const { code, said } = await infra('down');

    expect(code).toBe(1);
    expect(said).toContain('Nobody is here to ask: say --yes.');
    expect(providers.standing.length).toBeGreaterThan(0);
  });

  it('take down what the program made and what the platform made', async () => {
    const pool = queueName('mimeo-dev-', 'pool');
    await sqs.send(new CreateQueueCommand({ QueueName: pool }));
    await ecr.send(new CreateRepositoryCommand({ repositoryName: 'mimeo/dev/ada/model' }));

    const { code, said } = await infra('down', ['--yes', '--skip-preview']);

    expect(said).toContain(pool);
    expect(said).toContain('dev is down.');
    expect(code).toBe(0);
    expect(providers.standing).toEqual([]);
    expect((await sqs.send(new ListQueuesCommand({}))).QueueUrls ?? []).toEqual([]);
    expect((await ecr.send(new DescribeRepositoriesCommand({}))).repositories).toEqual([]);
  });

  it('refuse to take down what the configuration protects, until it does not', async () => {
    const set = ['config', 'set', '-s', 'dev', '--path', 'mimeo:protection.deletion'];
    await engine.must(...set, 'true');
    await infra('up', ['--yes', '--skip-preview']);
    const standing = providers.standing.length;

    const { code, said } = await infra('down', ['--yes', '--skip-preview']);

    expect(code).toBe(1);
    expect(said).toContain('dev is protected: mimeo:protection has deletion: true in Pulumi.dev.yaml.');
    expect(providers.standing).toHaveLength(standing);

    await engine.must(...set, 'false');
    await infra('up', ['--yes', '--skip-preview']);
    expect((await infra('down', ['--yes', '--skip-preview'])).code).toBe(0);
    expect(providers.standing).toEqual([]);
  });

  it('have nothing to take down where there is no such stack', async () => {
    await engine.must('stack', 'rm', 'dev', '--yes', '--force', '--preserve-config');

    const { code, said } = await infra('down', ['--yes']);

    expect(code).toBe(0);
    expect(said).toContain('There is no stack dev: nothing to take down.');
  });
}
