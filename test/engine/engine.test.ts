import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { engineTools, haveGoTools, howToHaveGoTools } from '../support/go-tools.ts';
import { type Engine, openEngine } from './engine.ts';
import { type StandInProviders, startStandInProviders } from './stand-in-providers.ts';

/** A program of infra's form. For the platform itself: `resolve(import.meta.dirname, '../..')`. */
const program = resolve(import.meta.dirname, 'program');
const environment = 'dev';

// vitest.config.ts leaves this file out where they are not there.
if (!haveGoTools(engineTools)) throw new Error(howToHaveGoTools(engineTools));

// Each starts the engine, which is in no hurry on a machine that is busy with other things.
const timeout = 240_000;
describe.sequential("Pulumi's engine runs the program", { timeout }, suite);

function suite(): void {
  let providers: StandInProviders;
  let engine: Engine;

  beforeAll(async () => {
    providers = await startStandInProviders();
    engine = await openEngine(program, providers.environment);
    await engine.must('stack', 'init', environment);
  });
  afterAll(async () => {
    providers?.stop();
    await engine?.remove();
  });

  it('previews it while nothing stands and no output is known', async () => {
    const said = await engine.must('preview', '-s', environment);

    expect(said).toMatch(/\+ \d+ to create/);
    expect(said).toContain('awsx:ec2:Vpc');
    expect(providers.standing).toEqual([]);
  });

  it('makes everything in one go, awsx components with what is inside', async () => {
    await engine.must('up', '-s', environment, '--yes', '--skip-preview');

    const types = providers.standing.map(({ type }) => type);
    expect(types).toContain('aws:sqs/queue:Queue');
    expect(types).toContain('aws:ec2/natGateway:NatGateway');
    expect(types).toContain('kubernetes:core/v1:ConfigMap');
    expect(new Set(providers.changes.map(({ operation }) => operation))).toEqual(new Set(['create']));
  });

  it('resolves outputs once things stand', async () => {
    const outputs = JSON.parse(await engine.must('stack', 'output', '--json', '-s', environment)) as unknown;

    expect(outputs).toMatchObject({
      queueUrl: 'https://sqs.us-east-1.amazonaws.com/123456789012/mimeo-jobs',
      namespace: 'mimeo-models',
      account: '123456789012',
    });
  });

  it('does nothing the second time', async () => {
    const before = providers.changes.length;

    await engine.must('preview', '-s', environment, '--expect-no-changes');
    await engine.must('up', '-s', environment, '--yes', '--expect-no-changes');

    expect(providers.changes.slice(before)).toEqual([]);
  });

  it('changes in place what a setting changes, and nothing else', async () => {
    const before = providers.changes.length;
    await engine.must('config', 'set', '-s', environment, '--path', 'mimeo:logs.retentionDays', '14');

    await engine.must('up', '-s', environment, '--yes', '--skip-preview');

    expect(providers.changes.slice(before)).toEqual([
      { operation: 'update', type: 'aws:sqs/queue:Queue', name: 'fleet-queue' },
    ]);
    const queue = providers.standing.find(({ name }) => name === 'fleet-queue');
    expect(queue?.inputs.messageRetentionSeconds).toBe(14 * 86_400);
  });

  it("leaves a group's number of machines to the autoscaler", async () => {
    const before = providers.changes.length;
    await engine.must('config', 'set', '-s', environment, '--path', 'mimeo:tiers.gpu-t4.min', '1');

    await engine.must('up', '-s', environment, '--yes', '--expect-no-changes');

    expect(providers.changes.slice(before)).toEqual([]);
  });

  it('says what a cloud refused, and finishes when it no longer does', async () => {
    providers.refuse('update', 'aws:eks/nodeGroup:NodeGroup', 'VcpuLimitExceeded: a limit of 0');
    await engine.must('config', 'set', '-s', environment, '--path', 'mimeo:tiers.gpu-t4.max', '3');

    const refused = await engine.run('up', '-s', environment, '--yes', '--skip-preview');
    providers.allow();
    await engine.must('up', '-s', environment, '--yes', '--skip-preview');

    expect(refused.code).not.toBe(0);
    expect(refused.said).toContain('VcpuLimitExceeded: a limit of 0');
    const nodes = providers.standing.find(({ name }) => name === 'fleet-gpu-t4');
    expect(nodes?.inputs.scalingConfig).toEqual({ minSize: 0, maxSize: 3, desiredSize: 0 });
  });

  it('names every mistake of a configuration in a line of its own, and nothing of the program', async () => {
    await engine.must('config', 'set', '-s', environment, '--path', 'mimeo:api.max', '0');
    await engine.must('config', 'set', '-s', environment, '--path', 'mimeo:logs.retention', '5');

    const { code, said } = await engine.run('preview', '-s', environment);
    await engine.must('config', 'rm', '-s', environment, '--path', 'mimeo:api.max');
    await engine.must('config', 'rm', '-s', environment, '--path', 'mimeo:logs.retention');

    expect(code).not.toBe(0);
    expect(said).toContain('Pulumi.dev.yaml has 2 mistakes:');
    expect(said).toMatch(/^ +api\.max is 0: /m);
    expect(said).toMatch(/^ +logs\.retention is 5: there is no such setting$/m);
    expect(said).not.toContain('    at ');
  });

  it('takes everything away', async () => {
    await engine.must('destroy', '-s', environment, '--yes', '--skip-preview');

    expect(providers.standing).toEqual([]);
  });

  it('leaves the files of the program as they were', async () => {
    const said = await engine.must('config', 'get', 'mimeo:tiers', '-s', environment);

    expect(said).toContain('"max":3');
    expect(await readFile(join(program, 'Pulumi.dev.yaml'), 'utf8')).toContain('max: 2');
  });
}

describe('the platform itself', { timeout }, () => {
  it('names every mistake of its configuration before it makes anything', async () => {
    const providers = await startStandInProviders();
    const engine = await openEngine(resolve(import.meta.dirname, '../..'), providers.environment);
    try {
      await engine.must('stack', 'init', environment);
      await engine.must('config', 'set', '-s', environment, '--path', 'mimeo:api.max', '0');

      const { code, said } = await engine.run('up', '-s', environment, '--yes', '--skip-preview');

      expect(code).not.toBe(0);
      expect(said).toContain('Pulumi.dev.yaml has a mistake:');
      expect(said).toContain('api.max is 0: ');
      expect(providers.changes).toEqual([]);
    } finally {
      providers.stop();
      await engine.remove();
    }
  });
});
