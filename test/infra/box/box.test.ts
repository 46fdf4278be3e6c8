import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Agent, getGlobalDispatcher, setGlobalDispatcher } from 'undici';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundleServices } from '../../../build/bundles.ts';
import { readStackConfig } from '../../../infra/plan/read-config.ts';
import { verifyLedger } from '../../../services/metering/ledger.ts';
import { describeNpmClient } from '../../clients/npm.ts';
import { describeNpmFiles } from '../../clients/npm-files.ts';
import { type BoxPlatform, startBoxPlatform } from '../../support/box/box-platform.ts';
import { allowing, type RoleStatement, statementsOf } from '../../support/box/iam-evaluator.ts';
import { declaredPolicies } from '../../support/box/recorded-env.ts';

const repository = resolve(import.meta.dirname, '../../..');

/**
 * The stack in a box: the program of `dev` provisions an emulated cloud, and its services run from their bundles with
 * exactly the variables that their task definition and functions declare.
 */
describe('the stack in a box', () => {
  let platform: BoxPlatform;
  const before = getGlobalDispatcher();

  beforeAll(async () => {
    const bundles = join(repository, '.cache/box-bundles');
    await bundleServices(repository, bundles);
    platform = await startBoxPlatform(readStackConfig('dev', repository), bundles);
    const ca = await readFile(platform.box.certificate);
    setGlobalDispatcher(new Agent({ connect: { ca } }));
  });
  afterAll(async () => {
    setGlobalDispatcher(before);
    await platform?.stop();
  });

  it('opens to its first token, which the api has put into its secret', async () => {
    const response = await fetch(`${platform.url}/v1/account`, {
      headers: { authorization: `Bearer ${platform.firstToken}` },
    });

    expect(await response.json()).toMatchObject({ username: 'admin' });
  });

  const shared = async () => ({ ...platform, stop: async () => undefined });
  describe('serves the npm client', () => describeNpmClient(shared));
  describe("serves the npm client's files", () => describeNpmFiles(shared));

  it('has metered what it ran', async () => {
    const report = await verifyLedger({ table: platform.table, accounts: ['local'], now: Date.now });

    expect(report).toMatchObject({ isComplete: true, differences: [] });
    expect(platform.box.functions.failures).toEqual([]);
  });

  it('let its services do whatever they asked of AWS', async () => {
    const { doors } = platform.box;
    const denied = [...doors].flatMap(([role, door]) => {
      expect(door.unknown).toEqual([]);
      const statements = statementsOfRole(platform, role);
      return door.calls().filter((call) => !allowing(statements, call));
    });

    expect(doors.size).toBe(5);
    expect(denied).toEqual([]);
  });

  it('let them do nothing that they have no use for', () => {
    const unused = [...platform.box.doors].flatMap(([role, door]) => {
      const used = new Set(door.calls().map(({ action }) => action.toLowerCase()));
      const allowed = statementsOfRole(platform, role).flatMap(({ Action }) => Action);
      return allowed
        .filter((action) => !used.has(action.toLowerCase()) && !(action in justified))
        .map((action) => `${role.split('/').at(-1)} ${action}`);
    });

    expect(unused).toEqual([]);
  });
});

/** Actions that a run of this test does not come to, and what they are for. */
const justified: Readonly<Record<string, string>> = {};

function statementsOfRole({ box }: BoxPlatform, roleArn: string): readonly RoleStatement[] {
  const name = roleArn.split('/').at(-1) ?? '';
  return (declaredPolicies(box.recording.resources).get(name) ?? []).flatMap(statementsOf);
}

