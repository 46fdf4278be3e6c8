import { describe, expect, it } from 'vitest';
import { record } from '../../../infra/plan/record.ts';

const where = { project: 'mimeo', environment: 'dev' };
const deploy = 'arn:aws:iam::123456789012:role/deploy';
const platform = 'arn:aws:iam::123456789012:role/platform';

describe('administrators', () => {
  async function entriesOf(principals: readonly string[]): Promise<Readonly<Record<string, unknown>>> {
    const { resources } = await record(async () => {
      const { grantAdministrators } = await import('../../../infra/components/cluster-access.ts');
      grantAdministrators((role) => `cluster-${role}`, { clusterName: 'mimeo-dev', principals }, {});
    }, where);
    const entries = resources.filter(({ type }) => type === 'aws:eks/accessEntry:AccessEntry');
    return Object.fromEntries(entries.map(({ name, inputs }) => [name, inputs.principalArn]));
  }

  it('have one entry each, also where whoever runs the program is named as well', async () => {
    const both = await entriesOf([deploy, platform, deploy]);

    expect(Object.values(both).toSorted()).toEqual([deploy, platform]);
  });

  it('keep their entries whoever of them runs the program', async () => {
    expect(await entriesOf([deploy, platform])).toEqual(await entriesOf([platform, deploy]));
  });
});

describe('who runs the program', () => {
  async function runnerOf(caller: object): Promise<string> {
    const { result } = await record(
      async () => {
        const { whoRunsThis } = await import('../../../infra/components/cluster-access.ts');
        return await whoRunsThis({});
      },
      { ...where, call: ({ inputs }) => ({ ...inputs, ...caller }) },
    );
    return result;
  }

  it('is the role behind a session, or the user', async () => {
    const arn = 'arn:aws:sts::123456789012:assumed-role/deploy/somebody';

    expect(await runnerOf({ arn, issuerArn: deploy })).toBe(deploy);
    expect(await runnerOf({ arn: 'arn:aws:iam::123456789012:user/ada', issuerArn: '' })).toBe(
      'arn:aws:iam::123456789012:user/ada',
    );
  });
});
