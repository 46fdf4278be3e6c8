import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { makePlan, type PolicyVerdict } from '../../infra/plan/plan.ts';
import { type Planner, planCommand } from '../../services/cli/commands/plan.ts';
import { CliError, exitCodes } from '../../services/cli/failure.ts';
import { fixtureProgram, root } from '../infra/plan/fixture.ts';
import { mimeo } from './command.ts';

const rule: PolicyVerdict = {
  policy: 'a-rule',
  description: 'A rule.',
  enforcement: 'mandatory',
  verdict: 'pass',
  violations: [],
};

/** Plans the fixture's program, judged by one policy. */
function plannerWith(verdict: Partial<PolicyVerdict> = {}): Planner {
  return (environment) =>
    makePlan(environment, root, { program: fixtureProgram, evaluate: () => [{ ...rule, ...verdict }] });
}

let stdout = '';
beforeEach(() => {
  stdout = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    stdout += String(text);
    return true;
  });
  vi.spyOn(process.stderr, 'write').mockReturnValue(true);
});
afterEach(() => {
  vi.restoreAllMocks();
  process.exitCode = undefined;
});

async function run(words: readonly string[], planner: Planner = plannerWith()): Promise<void> {
  await planCommand(new AbortController().signal, planner).parseAsync(words, { from: 'user' });
}

describe('mimeo plan', () => {
  test('prints what an environment costs', async () => {
    await run(['dev']);

    expect(stdout).toContain('mimeo dev in us-east-1');
    expect(stdout).toContain('a month while nobody calls');
    expect(process.exitCode).toBeUndefined();
  });

  test('--json prints a plan that has what programs look for', async () => {
    await run(['dev', '--json']);

    const plan = JSON.parse(stdout) as Record<string, unknown>;
    expect(plan).toMatchObject({
      environment: 'dev',
      region: 'us-east-1',
      monthlyUsd: { idle: expect.any(Number), peak: expect.any(Number) },
      lines: expect.arrayContaining([expect.objectContaining({ at: 'idle', source: expect.any(String) })]),
      resources: expect.arrayContaining([expect.objectContaining({ type: 'aws:eks/cluster:Cluster' })]),
      policies: [rule],
      tiers: expect.arrayContaining([expect.objectContaining({ sku: 'gpu-t4' })]),
      notPriced: [],
    });
  });

  test('--diff shows what another environment has other, and --json has it, too', async () => {
    await run(['dev', '--diff', 'staging']);
    expect(stdout).toContain('dev → staging');

    stdout = '';
    await run(['dev', '--diff', 'staging', '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ difference: { before: 'dev', after: 'staging' } });
  });

  test('--lines and --resources go before what sums them up', async () => {
    await run(['dev', '--lines', '--resources']);

    expect(stdout).toContain('infracost');
    expect(stdout).toContain('└─');
    expect(stdout.indexOf('└─')).toBeLessThan(stdout.indexOf('mimeo dev in'));
  });

  test('--html writes a page', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'mimeo-plan-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const file = join(folder, 'plan.html');

    await run(['dev', '--html', file]);

    expect(await readFile(file, 'utf8')).toMatch(/^<!doctype html>/);
  });

  test.each([
    ['mandatory', exitCodes.failure],
    ['advisory', undefined],
  ] as const)('ends with the code of a %s violation', async (enforcement, code) => {
    await run(['dev'], plannerWith({ verdict: 'fail', enforcement }));

    expect(process.exitCode).toBe(code);
  });

  test('tells an environment that there is not as a mistake of the person', async () => {
    const error = await run(['nope']).catch((thrown: unknown) => thrown);

    expect(error).toBeInstanceOf(CliError);
    expect(error).toMatchObject({
      exitCode: exitCodes.usage,
      message: 'There is no environment "nope" (Pulumi.nope.yaml): there are dev, prod, staging.',
    });
  });
});

test('the command itself says so in one line, without a stack trace', async () => {
  const { code, stdout: out, stderr } = await mimeo(['plan', 'nope']);

  expect(code).toBe(exitCodes.usage);
  expect(out).toBe('');
  expect(stderr).toBe(
    'mimeo: There is no environment "nope" (Pulumi.nope.yaml): there are dev, prod, staging.\n',
  );
});

test('--help says what idle and peak are', async () => {
  const { code, stdout: help } = await mimeo(['plan', '--help']);

  expect(code).toBe(0);
  expect(help).toContain('Idle is a month while nobody calls');
});
