import { describe, expect, it } from 'vitest';
import { ConfigError, type ConfigSource, parseConfig } from '../../infra/config.ts';

const cluster = { endpointCidrs: ['203.0.113.7/32'] };
const api = { allowedCidrs: ['203.0.113.7/32'] };
const guardrails = { monthlyBudgetUsd: 500 };

function dev(settings: Readonly<Record<string, unknown>> = {}): ConfigSource {
  return {
    project: 'mimeo',
    environment: 'dev',
    region: 'us-east-1',
    settings: { cluster, api, guardrails, ...settings },
  };
}

function prod(settings: Readonly<Record<string, unknown>> = {}): ConfigSource {
  const tls = { domain: 'mimeo.example.com', hostedZoneId: 'Z0123456789ABC' };
  return { ...dev({ api: tls, ...settings }), environment: 'prod' };
}

/** The lines of what is wrong. */
function mistakesOf(source: ConfigSource): readonly string[] {
  try {
    parseConfig(source);
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split('\n').slice(1);
    throw error;
  }
  return [];
}

describe('the configuration of a stack', () => {
  it('needs little: who may reach it, and what a month may cost', () => {
    const config = parseConfig(dev());

    expect(config).toMatchObject({
      project: 'mimeo',
      environment: 'dev',
      region: 'us-east-1',
      network: { cidr: '10.40.0.0/16', nat: 'single', availabilityZones: 2 },
      tiers: [],
      api: { min: 1, max: 2 },
    });
  });

  it('has its tiers in the order of the catalogue, each on the machines that suit it', () => {
    const tiers = {
      'gpu-a40-small': { max: 1 },
      cpu: { max: 3 },
      'gpu-t4': { max: 2, disk: 'instance-store' },
    };

    expect(parseConfig(dev({ tiers })).tiers).toMatchObject([
      { sku: 'cpu', instanceTypes: ['m6i.xlarge'], min: 0, max: 3 },
      { sku: 'gpu-t4', instanceTypes: ['g4dn.xlarge'], disk: 'instance-store' },
      { sku: 'gpu-a40-small', instanceTypes: ['g6e.xlarge'] },
    ]);
  });

  it('says why a tier is off: nobody asked for it, or the region does not sell its machines', () => {
    const tiers = { 'gpu-a40-small': { max: 1 }, 'gpu-t4': { max: 1 } };

    const { tiers: on, tiersOff } = parseConfig({ ...dev({ tiers }), region: 'eu-west-1' });

    expect(on.map(({ sku }) => sku)).toEqual(['gpu-t4']);
    const why = Object.fromEntries(tiersOff.map((off) => [off.sku, off.why]));
    expect(why['gpu-a40-small']).toBe(
      'eu-west-1 does not sell g6e.xlarge; name other instanceTypes to have it',
    );
    expect(why['gpu-a100-small']).toContain('switched off');
  });

  it('has ten lines for ten mistakes', () => {
    const source: ConfigSource = {
      ...prod({
        network: { cidr: '172.20.0.0/16', nats: 3 },
        cluster: { endpointCidrs: ['everybody'], version: 1.36 },
        tiers: { 'gpu-t5': { max: 1 }, 'gpu-t4': { max: 1, min: 2 }, cpu: { max: -1 } },
        api: { min: 3, max: 1 },
        guardrails: {},
      }),
    };

    const lines = mistakesOf(source);

    expect(lines).toEqual([
      '  network.nats is 3: there is no such setting',
      '  cluster.version is 1.36: takes a text, in quotes',
      '  cluster.endpointCidrs.0 is "everybody": takes a CIDR block such as 203.0.113.0/24',
      '  tiers.cpu.max is -1: takes at least 0',
      expect.stringContaining('  tiers.gpu-t5: takes a SKU: cpu, gpu-t4,'),
      '  tiers.gpu-t4.max is 1: takes at least its min, 2',
      '  api.max is 1: takes at least api.min, 3',
      expect.stringContaining('  network.cidr is "172.20.0.0/16": overlaps the cluster\'s services'),
      expect.stringContaining('  api.certificateArn: is needed everywhere but in dev'),
      expect.stringContaining('  guardrails.monthlyBudgetUsd: says what a month may cost'),
    ]);
  });

  it('refuses what is set under aws: and comes to nothing, and shows no value of it', () => {
    const awsNames = ['region', 'profile', 'assumeRole', 'allowedAccountIds', 'secretKey'];

    const lines = mistakesOf({ ...dev(), awsNames });

    expect(lines).toHaveLength(4);
    expect(lines[0]).toBe(
      '  aws:profile: is not heeded, only aws:region is; who asks AWS, and in which account, is said by the environment, as in AWS_PROFILE=…',
    );
  });

  it.each<[string, Readonly<Record<string, unknown>>, string]>([
    ['a type that the region does not sell', { instanceTypes: ['p5.4xlarge'] }, 'is not sold in eu-west-1'],
    [
      'a type that nobody knows',
      { instanceTypes: ['g99.xlarge'] },
      'is no type that infra/aws/prices.json has',
    ],
    ['a type with too small a GPU', { instanceTypes: ['m6i.large'] }, 'has no GPU; gpu-t4 promises 16 GB'],
    [
      'types of unequal shape',
      { instanceTypes: ['g4dn.xlarge', 'g4dn.2xlarge'] },
      'takes types of equal vCPUs, memory and GPUs',
    ],
    ['a warm pool whose images would be lost', { warmPool: 1, disk: 'instance-store' }, 'needs disk: gp3'],
    ['a warm pool of spot machines', { warmPool: 1, capacity: 'spot' }, 'is not to be had of spot machines'],
    ['a warm pool above its max', { warmPool: 3 }, 'takes at most its max, 1'],
    ['a disk that images do not fit on', { diskGb: 20 }, 'takes at least 200'],
  ])('refuses a tier with %s', (_, tier, message) => {
    const lines = mistakesOf({ ...dev({ tiers: { 'gpu-t4': { max: 1, ...tier } } }), region: 'eu-west-1' });

    expect(lines).toEqual([expect.stringContaining(message)]);
  });

  it.each<[string, ConfigSource, string]>([
    ['prod without a certificate', prod({ api: {} }), 'api.certificateArn: is needed everywhere but in dev'],
    ['a certificate without a name', dev({ api: { hostedZoneId: 'Z012' } }), 'api.domain: is needed'],
    ['plain HTTP for everybody', dev({ api: {} }), 'takes known addresses while there is no TLS'],
    [
      'a cluster open to the world',
      dev({ cluster: { endpointCidrs: ['0.0.0.0/0'] } }),
      'must not be everybody',
    ],
    ['a cluster that nobody reaches', dev({ cluster: {} }), 'takes who may reach a public endpoint'],
    [
      'a budget below what stands',
      dev({ guardrails: { monthlyBudgetUsd: 90 } }),
      'with nobody calling, about 1',
    ],
    [
      'a task that Fargate has not',
      dev({ api: { ...api, cpu: 512, memory: 512 } }),
      'Fargate has no task of 512',
    ],
    [
      'a network that is too small',
      dev({ network: { cidr: '10.0.0.0/24' } }),
      'takes a block from /16 to /20',
    ],
    [
      'fewer zones than there are to be',
      dev({ network: { zones: ['us-east-1a', 'us-east-1a'] } }),
      'network.zones is ["us-east-1a","us-east-1a"]: takes 2 zones',
    ],
    [
      'zones of another region',
      dev({ network: { zones: ['us-east-1a', 'us-west-2b'] } }),
      'takes zones of us-east-1, such as us-east-1a',
    ],
    ['a zone by its id', dev({ network: { zones: ['use1-az1', 'use1-az2'] } }), 'takes a zone such as'],
    ['a region without prices', { ...dev(), region: 'ap-south-1' }, 'takes a region whose prices'],
    ['no region', { ...dev(), region: undefined }, 'aws:region: takes a region whose prices'],
    ['some of the images', dev({ images: { api: `x@sha256:${'0'.repeat(64)}` } }), 'takes all three of'],
    ['an image by tag', dev({ images: { api: 'x:latest' } }), 'takes an image by digest'],
    [
      'x86 system nodes',
      dev({ cluster: { ...cluster, systemNodes: { instanceType: 't3.medium' } } }),
      'arm64',
    ],
    [
      'models without the internet where it is the way to the store',
      dev({ network: { nat: 'none' }, models: { internet: false } }),
      'models.internet is false: takes true with network.nat: none',
    ],
    [
      'models without the internet where the store is not reached by the port of the api',
      dev({ network: { nat: 'single' }, models: { internet: false } }),
      'models.internet is false: takes true with an api without TLS',
    ],
    ['a price of no SKU', dev({ prices: { t4: 5 } }), 'prices.t4: takes a SKU'],
  ])('refuses %s', (_, source, message) => {
    expect(mistakesOf(source).join('\n')).toContain(message);
  });

  it('takes models without the internet behind NAT, by which runners reach the store', () => {
    const closed = prod({ network: { nat: 'single' }, models: { internet: false } });

    expect(parseConfig(closed).models.internet).toBe(false);
  });
});
