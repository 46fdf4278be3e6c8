import { expect, it } from 'vitest';
import type { RunProgram } from '../../../infra/cli/machine.ts';
import { readStackState } from '../../../infra/cli/stack-state.ts';

/** Pulumi, with a stack of these resources. */
function pulumiWith(resources: readonly object[]): RunProgram {
  return async (_, args) => {
    const said = args.includes('export') ? { deployment: { resources } } : { queuePrefix: 'mimeo-dev-' };
    return { code: 0, stdout: JSON.stringify(said), stderr: '' };
  };
}

function resource(type: string, name: string, more: object = {}): object {
  return {
    urn: `urn:pulumi:prod::mimeo::${type}::${name}`,
    type,
    id: `mimeo-${name}`,
    custom: true,
    ...more,
  };
}

it('knows what AWS refuses to delete by its inputs, unless it stays anyway', async () => {
  const run = pulumiWith([
    resource('pulumi:pulumi:Stack', 'mimeo-prod', { custom: false }),
    resource('aws:eks/cluster:Cluster', 'cluster', { inputs: { deletionProtection: true } }),
    resource('aws:lb/loadBalancer:LoadBalancer', 'balancer', { inputs: { enableDeletionProtection: true } }),
    resource('aws:lb/loadBalancer:LoadBalancer', 'other', { inputs: { enableDeletionProtection: false } }),
    resource('aws:dynamodb/table:Table', 'table', {
      protect: true,
      retainOnDelete: true,
      inputs: { deletionProtectionEnabled: true },
    }),
  ]);

  const state = await readStackState('/repository', 'prod', run);

  expect(state).toMatchObject({
    outputs: { queuePrefix: 'mimeo-dev-' },
    count: 4,
    refusing: ['cluster', 'balancer'],
    kept: [{ name: 'table', why: 'protected' }],
  });
});

it('knows of no stack where Pulumi knows none', async () => {
  const run: RunProgram = async () => ({
    code: 255,
    stdout: '',
    stderr: "error: no stack named 'prod' found",
  });

  expect(await readStackState('/repository', 'prod', run)).toBeUndefined();
});
