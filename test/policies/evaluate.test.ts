import { beforeAll, expect, test } from 'vitest';
import type { RecordedResource } from '../../infra/plan/record.ts';
import { evaluatePolicies, type Verdict } from '../../policies/evaluate.ts';
import { createPolicies } from '../../policies/pack.ts';
import { recordSmallProgram } from './small-program.ts';

let resources: readonly RecordedResource[] = [];
const dev = { environment: 'dev' };

beforeAll(async () => {
  resources = (await recordSmallProgram()).resources;
});

function verdictOf(name: string, cost = { idle: 100, peak: 1000 }): Verdict | undefined {
  return evaluatePolicies(resources, dev, cost).find(({ policy }) => policy === name);
}

test('there is a verdict of every policy, in the order of the pack', () => {
  const verdicts = evaluatePolicies(resources, dev, { idle: 0, peak: 0 });
  expect(verdicts.map(({ policy }) => policy)).toEqual(
    createPolicies(() => ({ idle: 0, peak: 0 })).map(({ name }) => name),
  );
});

test('the cost is the one that is given', () => {
  expect(verdictOf('idle-ceiling')?.verdict).toBe('pass');
  expect(verdictOf('idle-ceiling', { idle: 151, peak: 0 })).toMatchObject({
    enforcement: 'mandatory',
    verdict: 'fail',
    violations: [{ urn: undefined }],
  });
});

const wrong: readonly (readonly [string, readonly string[]])[] = [
  ['queues-dead-letter', ['forgotten']],
  ['encrypted-queues', ['forgotten']],
  ['blocked-buckets', ['open']],
  ['no-wildcard-actions', ['role-policy']],
  ['gpu-scale-to-zero', ['nodes']],
  ['cost-tags', ['untagged-logs']],
  ['tls-only-stores', ['blocked', 'dead-letter', 'forgotten', 'open', 'waiting']],
];

test.each(wrong)('%s fails for what is wrong, and for nothing else', (name, names) => {
  const urns = verdictOf(name)?.violations.map(({ urn }) => urn?.split('::').at(-1));
  expect([...new Set(urns)].toSorted()).toEqual(names);
});

test.each(['gpu-instance-types', 'regions', 'tier-max-nodes', 'log-retention', 'deletion-protection'])(
  '%s passes',
  (name) => {
    expect(verdictOf(name)).toMatchObject({ verdict: 'pass', violations: [] });
  },
);

test('what awsx does inside is told by its inputs', () => {
  expect(verdictOf('nat-count')?.violations[0]?.message).toContain('dev has 1 NAT gateways');
});

test('resources of another environment are refused', () => {
  expect(() => evaluatePolicies(resources, { environment: 'prod' }, { idle: 0, peak: 0 })).toThrow(
    /is no resource of prod/,
  );
});
