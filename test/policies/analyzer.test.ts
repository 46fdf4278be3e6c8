import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RecordedResource } from '../../infra/plan/record.ts';
import { evaluatePolicies } from '../../policies/evaluate.ts';
import { Analyzer, type Diagnostic } from './analyzer.ts';
import { unknownNumber, unknownText } from './fixtures.ts';
import { recordSmallProgram } from './small-program.ts';

let analyzer: Analyzer | undefined;
let resources: readonly RecordedResource[] = [];

beforeAll(async () => {
  resources = (await recordSmallProgram()).resources;
  analyzer = await Analyzer.start(join(import.meta.dirname, '../../policies'));
  await analyzer.configure('dev');
});
afterAll(() => analyzer?.stop());

function running(): Analyzer {
  if (!analyzer) throw new Error('The pack does not run');
  return analyzer;
}

async function diagnosticsOf(all: readonly RecordedResource[]): Promise<readonly Diagnostic[]> {
  const each = await Promise.all(all.map((resource) => running().analyze(resource, all)));
  return [...each.flat(), ...(await running().analyzeStack(all))];
}

function changed(name: string, inputs: Record<string, unknown>): readonly RecordedResource[] {
  return resources.map((one) =>
    one.name === name
      ? { ...one, inputs: { ...one.inputs, ...inputs }, outputs: { ...one.outputs, ...inputs } }
      : one,
  );
}

test('the process has the policies that the plan evaluates', async () => {
  const evaluated = evaluatePolicies([], { environment: 'dev' }, { idle: 0, peak: 0 }).map(
    ({ policy }) => policy,
  );
  const served = await running().policies();
  expect(served).toEqual(evaluated);
});

test('the process says of every resource what evaluatePolicies says', async () => {
  const line = (policy: string, urn: string, message: string) => `${policy} ${urn} ${message}`;
  const verdicts = evaluatePolicies(resources, { environment: 'dev' }, { idle: 0, peak: 0 });
  const evaluated = verdicts.flatMap(({ policy, violations }) =>
    violations.map(({ urn = '', message }) => line(policy, urn, message)),
  );
  const served = (await diagnosticsOf(resources)).map(({ policy, urn, message }) =>
    line(policy, urn, message),
  );
  expect(served.toSorted()).toEqual(evaluated.toSorted());
  expect(served.length).toBeGreaterThan(10);
});

test('a size that a preview does not know stays a mandatory violation', async () => {
  const scalingConfig = { minSize: unknownNumber, desiredSize: unknownNumber, maxSize: unknownNumber };
  const found = await diagnosticsOf(changed('nodes', { scalingConfig }));
  for (const policy of ['tier-max-nodes', 'total-gpus', 'gpu-scale-to-zero']) {
    const own = found.filter((one) => one.policy === policy);
    expect(own, policy).not.toEqual([]);
    expect(
      own.every(({ isMandatory }) => isMandatory),
      policy,
    ).toBe(true);
  }
});

test('a policy of IAM that a preview does not know is told as advice, and hides nothing else', async () => {
  const found = await diagnosticsOf(changed('role-policy', { policy: unknownText }));
  const own = found.filter(({ policy }) => policy === 'no-wildcard-actions');
  expect(own).toMatchObject([{ isMandatory: false }]);
  expect(own[0]?.message).toContain("can't be known during preview");
  expect(found.some(({ policy, isMandatory }) => policy === 'blocked-buckets' && isMandatory)).toBe(true);
});
