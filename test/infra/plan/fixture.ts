import { join } from 'node:path';
import { parseConfig, type StackConfig } from '../../../infra/config.ts';
import type { StackProgram } from '../../../infra/plan/plan.ts';
import { type RecordedResource, record } from '../../../infra/plan/record.ts';

/** Where the environments' files are. */
export const root = join(import.meta.dirname, '../../..');

/** The program that these tests plan. */
export async function fixtureProgram(): Promise<StackProgram> {
  return (await import('./fixture-stack.ts')).createFixtureStack;
}

const least = {
  cluster: { endpointCidrs: ['203.0.113.7/32'] },
  api: { allowedCidrs: ['203.0.113.7/32'] },
  guardrails: { monthlyBudgetUsd: 20_000 },
};

/** A configuration of dev: the least that there can be, and `settings`. */
export function configOf(settings: Readonly<Record<string, object>> = {}, region = 'us-east-1'): StackConfig {
  const merged: Record<string, object> = { ...least };
  for (const [name, more] of Object.entries(settings)) merged[name] = { ...merged[name], ...more };
  return parseConfig({ project: 'mimeo', environment: 'dev', region, settings: merged });
}

/** What the fixture's program asks for with a configuration. */
export async function recordFixture(config: StackConfig): Promise<readonly RecordedResource[]> {
  const { resources } = await record(
    async () => {
      (await fixtureProgram())({ config, bundles: 'dist' });
    },
    { project: 'mimeo', environment: config.environment },
  );
  return resources;
}

/** A resource of one's own, for what no program here makes. */
export function resourceOf(
  type: string,
  name: string,
  more: Partial<RecordedResource> = {},
): RecordedResource {
  return {
    urn: `urn:pulumi:dev::mimeo::${type}::${name}`,
    type,
    name,
    parent: undefined,
    isCustom: true,
    inputs: {},
    outputs: {},
    dependencies: [],
    ignoreChanges: [],
    isProtected: false,
    retainsOnDelete: false,
    provider: '',
    ...more,
  };
}
