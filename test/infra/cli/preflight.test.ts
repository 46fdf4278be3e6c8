import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Account } from '../../../infra/cli/account.ts';
import { isAtLeast, lookAtMachine, type Machine, type RunProgram } from '../../../infra/cli/machine.ts';
import {
  type Check,
  checkLines,
  preflight,
  readConfigFrom,
  type Surroundings,
} from '../../../infra/cli/preflight.ts';
import { quotasNeeded } from '../../../infra/cli/quotas.ts';
import { parseConfig, type StackConfig } from '../../../infra/config.ts';

const root = resolve(import.meta.dirname, '../../..');

const machine: Machine = {
  pulumi: { version: '3.259.0', user: 'ada' },
  node: '24.21.0',
  awsCli: '2.31.0',
  docker: { server: '28.2.2', buildx: '0.24.0' },
};
const account: Account = {
  identity: { account: '123456789012', arn: 'arn:aws:iam::123456789012:user/ada' },
  quotas: {
    'L-DB2E81BA': 64,
    'L-417A185B': 0,
    'L-1216C47A': 64,
    'L-B99A9384': 1000,
    'L-F678F1CE': 5,
    'L-0263D0A3': 5,
  },
};

function around(changes: Partial<Surroundings> = {}): Surroundings {
  return {
    config: readConfigFrom(root, 'dev'),
    machine: async () => machine,
    account: async () => account,
    costTags: async () => ({ statuses: { 'mimeo:environment': 'Active' } }),
    bundle: async () => 7,
    env: {},
    ...changes,
  };
}

/** The check of that name with the worst level. */
async function checkOf(name: string, changes: Partial<Surroundings>): Promise<Check | undefined> {
  const { checks } = await preflight(around(changes));
  const ranks = ['ok', 'warn', 'fail'];
  return checks
    .filter((check) => check.name === name)
    .sort((one, other) => ranks.indexOf(other.level) - ranks.indexOf(one.level))[0];
}

function configWith(settings: Readonly<Record<string, unknown>>): StackConfig {
  return parseConfig({
    project: 'mimeo',
    environment: 'dev',
    region: 'us-east-1',
    settings: {
      network: { nat: 'none' },
      cluster: { endpointCidrs: ['203.0.113.7/32'] },
      api: { allowedCidrs: ['203.0.113.7/32'] },
      guardrails: { monthlyBudgetUsd: 100_000 },
      ...settings,
    },
  });
}

describe('preflight', () => {
  it('finds everything in order where it is', async () => {
    const { checks, config } = await preflight(around());

    expect(checks.filter(({ level }) => level !== 'ok')).toEqual([]);
    expect(checks.map(({ name }) => name)).toEqual([
      'configuration',
      'pulumi',
      'state',
      'node',
      'aws',
      'credentials',
      'region',
      'quota',
      'quota',
      'quota',
      'quota',
      'cost tags',
      'images',
      'bundles',
    ]);
    expect(config?.environment).toBe('dev');
  });

  it.each<[string, Check['level'], string, string, Partial<Machine>]>([
    ['pulumi', 'fail', 'not on PATH', 'pulumi.com/docs/install', { pulumi: null }],
    ['pulumi', 'fail', '3.150.0 is older', 'install', { pulumi: { version: '3.150.0', user: 'ada' } }],
    ['state', 'fail', 'nobody is logged in', 'pulumi login', { pulumi: { version: '3.259.0', user: null } }],
    ['node', 'fail', '20.20.2 on PATH', 'npm run', { node: '20.20.2' }],
    ['node', 'fail', 'none on PATH', '22.18', { node: null }],
    ['aws', 'warn', 'no AWS CLI', 'getting-started-install', { awsCli: null }],
    ['images', 'fail', 'there is no docker', 'mimeo:images', { docker: null }],
    ['images', 'fail', 'daemon does not answer', 'start Docker', { docker: { server: null, buildx: '0.2' } }],
    ['images', 'fail', 'has no buildx', 'buildx', { docker: { server: '28.2.2', buildx: null } }],
  ])('%s: %s where %s', async (name, level, found, mend, changes) => {
    const check = await checkOf(name, { machine: async () => ({ ...machine, ...changes }) });

    expect(check).toMatchObject({ level });
    expect(check?.found).toContain(found);
    expect(check?.mend).toContain(mend);
  });

  it('takes a Pulumi that was built from its sources and says no version', async () => {
    const built = { ...machine, pulumi: { version: '', user: 'ada' } };

    expect(await checkOf('pulumi', { machine: async () => built })).toMatchObject({ level: 'ok' });
  });

  it('says every mistake of a configuration, and looks at the rest all the same', async () => {
    const { checks, config } = await preflight(
      around({ config: () => configWith({ api: { min: 3, max: 2, cpus: 1 } }) }),
    );

    expect(config).toBeUndefined();
    expect(checks[0]).toMatchObject({ name: 'configuration', level: 'fail' });
    expect(checks[0]?.found).toContain('api.cpus is 1: there is no such setting');
    expect(checks.map(({ name }) => name)).toContain('node');
  });

  it('names the environments that there are where one is misspelt', async () => {
    const check = await checkOf('configuration', { config: readConfigFrom(root, 'develop') });

    expect(check?.level).toBe('fail');
    expect(check?.found).toContain('there are dev, prod, staging');
  });

  it('fails where AWS takes no credentials, in its own words', async () => {
    const refused = { identity: { problem: 'ExpiredToken: The security token is expired' }, quotas: {} };

    const check = await checkOf('credentials', { account: async () => refused });

    expect(check).toMatchObject({ level: 'fail' });
    expect(check?.found).toContain('AWS in us-east-1 does not take them: ExpiredToken');
  });

  it('warns of a region in the environment that is not the stack’s', async () => {
    const check = await checkOf('region', { env: { AWS_REGION: 'eu-west-1' } });

    expect(check).toMatchObject({ level: 'warn' });
    expect(check?.found).toContain('eu-west-1');
  });

  it.each<[Check['level'], number]>([
    ['fail', 0],
    ['fail', 3],
    ['warn', 4],
    ['ok', 8],
  ])('says %s of a quota of %d vCPUs for two machines of 4', async (level, value) => {
    const config = () => configWith({ tiers: { 'gpu-t4': { max: 2 } } });
    const quotas = { ...account.quotas, 'L-DB2E81BA': value };

    const { checks } = await preflight(around({ config, account: async () => ({ ...account, quotas }) }));

    const check = checks.find(({ found }) => found.includes('G and VT'));
    expect(check?.level).toBe(level);
    expect(check?.found).toContain('gpu-t4 at most: 8');
    if (level !== 'ok') expect(check?.mend).toContain('--quota-code L-DB2E81BA --desired-value 8');
  });

  it.each<[Check['level'], number]>([
    ['fail', 10],
    ['fail', 166],
    ['ok', 167],
  ])('says %s of an account whose functions may run %d calls at a time', async (level, value) => {
    const quotas = { ...account.quotas, 'L-B99A9384': value };

    const { checks } = await preflight(around({ account: async () => ({ ...account, quotas }) }));

    const check = checks.find(({ found }) => found.includes('Concurrent executions'));
    expect(check?.level).toBe(level);
    expect(check?.found).toBe(
      `"Concurrent executions" is ${value} calls at a time in us-east-1; functions reserve 67, and AWS keeps 100 for others: 167`,
    );
    if (level !== 'ok') {
      expect(check?.mend).toContain('--service-code lambda --quota-code L-B99A9384 --desired-value 1000');
    }
  });

  it('warns of a quota that nobody may read', async () => {
    const quotas = { ...account.quotas, 'L-DB2E81BA': { problem: 'AccessDenied: no' } };

    const check = await checkOf('quota', { account: async () => ({ ...account, quotas }) });

    expect(check).toMatchObject({ level: 'warn' });
    expect(check?.found).toContain('cannot be read (AccessDenied: no)');
  });

  it('wants no Docker where images are given by digest', async () => {
    const digest = `registry.example.com/mimeo@sha256:${'a'.repeat(64)}`;
    const config = () => configWith({ images: { api: digest, director: digest, runner: digest } });

    const check = await checkOf('images', { config, machine: async () => ({ ...machine, docker: null }) });

    expect(check).toMatchObject({ level: 'ok' });
  });

  it('fails where services cannot be bundled', async () => {
    const bundle = () => Promise.reject(new Error('Could not resolve "hono"'));

    expect(await checkOf('bundles', { bundle })).toMatchObject({
      level: 'fail',
      found: 'cannot be built: Could not resolve "hono"',
    });
  });

  it('asks for a teardown only what a teardown needs', async () => {
    const { checks } = await preflight(around(), { forDown: true });

    expect(checks.map(({ name }) => name)).toEqual([
      'configuration',
      'pulumi',
      'state',
      'node',
      'aws',
      'credentials',
      'region',
    ]);
  });

  it('prints a line of what was found and one of how to mend it', () => {
    const lines = checkLines({ name: 'aws', level: 'warn', found: 'no AWS CLI', mend: 'install it' });

    expect(lines).toEqual(['! aws            no AWS CLI', '                 → install it']);
  });
});

describe('what an environment wants of EC2’s limits', () => {
  it('adds up the machines of tiers that draw on the same one', () => {
    const tiers = { 'gpu-t4': { max: 3 }, 'gpu-a40-large': { max: 2 }, cpu: { max: 1 } };

    const needs = quotasNeeded(configWith({ tiers }));

    // g4dn.xlarge has 4 vCPUs, g6e.2xlarge 8, m6i.xlarge 4 and t4g.medium 2.
    expect(needs).toMatchObject([
      { code: 'L-DB2E81BA', amount: 3 * 4 + 2 * 8, least: 8, wantedBy: 'gpu-t4, gpu-a40-large at most' },
      { code: 'L-1216C47A', amount: 2 * 2 + 1 * 4, least: 4, wantedBy: 'system nodes, cpu at most' },
      { service: 'lambda' },
      { service: 'vpc' },
    ]);
  });

  it('tells spot from on demand, and P5 from older P', () => {
    const tiers = {
      'gpu-t4': { max: 1, capacity: 'spot' },
      'gpu-a100-small': { max: 1 },
      'gpu-h100': { max: 1, capacity: 'spot' },
    };

    const codes = quotasNeeded(configWith({ tiers })).map(({ code }) => code);

    expect(codes).toEqual([
      'L-417A185B',
      'L-1216C47A',
      'L-3819A6DF',
      'L-C4BD4855',
      'L-B99A9384',
      'L-F678F1CE',
    ]);
  });

  it('wants no calls set aside where the configuration sets none aside', () => {
    const codes = quotasNeeded(configWith({ functions: { reserveConcurrency: false } })).map(
      ({ code }) => code,
    );

    expect(codes).not.toContain('L-B99A9384');
  });

  it.each([
    ['none', 2, undefined],
    ['single', 2, 1],
    ['one-per-az', 3, 3],
  ] as const)(
    'wants a network, and with nat %s in %d zones %s addresses',
    (nat, availabilityZones, amount) => {
      const needs = quotasNeeded(configWith({ network: { nat, availabilityZones } }));

      expect(needs.find(({ code }) => code === 'L-F678F1CE')).toMatchObject({ service: 'vpc', amount: 1 });
      expect(needs.find(({ code }) => code === 'L-0263D0A3')?.amount).toBe(amount);
    },
  );
});

describe('looking at a machine', () => {
  const answers: Readonly<Record<string, string>> = {
    'pulumi version': 'v3.259.0\n',
    'pulumi whoami --non-interactive': 'ada\n',
    'node --version': 'v24.21.0\n',
    'aws --version': 'aws-cli/2.31.0 Python/3.13 Linux/6.1\n',
    'docker version --format {{.Server.Version}}': '28.2.2\n',
    'docker buildx version': 'github.com/docker/buildx v0.24.0 d0e5e86\n',
  };

  it('reads versions out of what programs say', async () => {
    const run: RunProgram = async (command, args) => {
      const stdout = answers[[command, ...args].join(' ')];
      return { code: stdout === undefined ? 127 : 0, stdout: stdout ?? '', stderr: '' };
    };

    expect(await lookAtMachine(root, run)).toEqual(machine);
  });

  it('knows what is not there', async () => {
    const run: RunProgram = async () => ({ code: 127, stdout: '', stderr: 'ENOENT' });

    expect(await lookAtMachine(root, run)).toEqual({ pulumi: null, node: null, awsCli: null, docker: null });
  });

  it('compares versions by number', () => {
    expect(isAtLeast('22.9.0', '22.18')).toBe(false);
    expect(isAtLeast('22.18.0', '22.18')).toBe(true);
    expect(isAtLeast('24.0.0', '22.18')).toBe(true);
  });
});
