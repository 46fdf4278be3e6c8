import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { engineTools, haveGoTools, howToHaveGoTools } from '../support/go-tools.ts';
import { type Engine, openEngine } from './engine.ts';
import { type StandInProviders, startStandInProviders } from './stand-in-providers.ts';

/** A small program of infra's form: the engine runs it in no time, and what is tested here is the same in the whole one. */
const program = resolve(import.meta.dirname, 'program');
const environment = 'dev';

// vitest.config.ts leaves this file out where they are not there.
if (!haveGoTools(engineTools)) throw new Error(howToHaveGoTools(engineTools));

// Each starts the engine, which is in no hurry on a machine that is busy with other things.
const timeout = 240_000;
describe.sequential('where something is wrong', { timeout }, suite);

function suite(): void {
  let providers: StandInProviders;
  let engine: Engine;

  beforeAll(async () => {
    providers = await startStandInProviders();
    engine = await openEngine(program, providers.environment);
    await engine.must('stack', 'init', environment);
    await engine.must('up', '-s', environment, '--yes', '--skip-preview');
  });
  afterAll(async () => {
    providers?.stop();
    await engine?.remove();
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
}

describe('where the configuration of the platform is wrong', { timeout }, () => {
  it('names the mistake before it makes anything', async () => {
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
