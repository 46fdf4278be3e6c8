import { describe, expect, it } from 'vitest';
import {
  autoscalerEgress,
  denyAll,
  directorEgress,
  modelsEgress,
} from '../../../infra/components/network-policies.ts';
import { dnsIngress, systemEgress } from '../../../infra/components/system-policies.ts';
import { isAllowed, isInside, type PlacedPolicy, type PodEnd } from '../../support/network-policy.ts';

const surroundings = { vpcCidr: '10.40.0.0/16', serviceCidr: '172.20.0.0/16' };
const publicApi = 'https://mimeo.example.com';
const privateApi = 'http://api.mimeo-dev.internal:8080';

const pod = (namespace: string, labels: Record<string, string>, address: string): PodEnd => ({
  namespace,
  labels,
  address,
});
const model = pod('mimeo-models', { app: 'model' }, '10.40.1.1');
const otherModel = pod('mimeo-models', { app: 'model' }, '10.40.1.2');
const director = pod('mimeo', { app: 'director' }, '10.40.1.3');
const autoscaler = pod('mimeo', { app: 'cluster-autoscaler' }, '10.40.1.4');
const dns = pod('kube-system', { 'k8s-app': 'kube-dns' }, '10.40.1.5');
const plugin = pod('kube-system', { app: 'nvidia-device-plugin' }, '10.40.1.6');
const node = { address: '10.40.2.10' };
const apiTask = { address: '10.40.3.3' };
const metadata = { address: '169.254.169.254' };
const podIdentityAgent = { address: '169.254.170.23' };
const apiServer = { address: '172.20.0.1' };
const apiServerInVpc = { address: '10.40.4.4' };
const somewhere = { address: '93.184.216.34' };

function policies(fleetUrl: string, hasInternet: boolean): readonly PlacedPolicy[] {
  return [
    { namespace: 'kube-system', spec: systemEgress },
    { namespace: 'kube-system', spec: dnsIngress },
    { namespace: 'mimeo-models', spec: denyAll },
    { namespace: 'mimeo-models', spec: modelsEgress(fleetUrl, hasInternet, surroundings) },
    { namespace: 'mimeo', spec: denyAll },
    { namespace: 'mimeo', spec: directorEgress(fleetUrl, surroundings) },
    { namespace: 'mimeo', spec: autoscalerEgress(surroundings) },
  ];
}

describe.each([
  ['an api inside the VPC', privateApi],
  ['an api on the internet', publicApi],
])("a model's pod, with %s", (_, fleetUrl) => {
  it.each([true, false])('asks for names (internet: %s)', (hasInternet) => {
    const all = policies(fleetUrl, hasInternet);

    expect(isAllowed(all, { from: model, to: dns, port: 53, protocol: 'UDP' })).toBe(true);
    expect(isAllowed(all, { from: model, to: dns, port: 53 })).toBe(true);
    expect(isAllowed(all, { from: model, to: dns, port: 9153 })).toBe(false);
    expect(isAllowed(all, { from: model, to: plugin, port: 53 })).toBe(false);
  });

  it.each([true, false])(
    'reaches nothing of the machine, the cluster and AWS (internet: %s)',
    (hasInternet) => {
      const all = policies(fleetUrl, hasInternet);

      for (const to of [metadata, podIdentityAgent, node, apiServer, otherModel, director, autoscaler]) {
        for (const port of [22, 80, 443, 6379, 10_250]) {
          expect(isAllowed(all, { from: model, to, port }), `${to.address}:${port}`).toBe(false);
        }
      }
      for (const to of [metadata, podIdentityAgent, apiServer, otherModel, director, autoscaler]) {
        expect(isAllowed(all, { from: model, to, port: 8080 }), to.address).toBe(false);
      }
    },
  );

  it('is called by nobody', () => {
    const all = policies(fleetUrl, true);

    for (const from of [otherModel, director, node, somewhere]) {
      expect(isAllowed(all, { from, to: model, port: 5000 }), from.address).toBe(false);
    }
  });

  it.each(['10.1.2.3', '172.31.0.1', '192.168.1.1', '100.64.0.1', '127.0.0.1', '224.0.0.1', '0.0.0.1'])(
    'does not reach %s, which is not of the internet',
    (address) => {
      expect(isAllowed(policies(fleetUrl, true), { from: model, to: { address }, port: 443 })).toBe(false);
    },
  );
});

describe("a model's pod", () => {
  it('reaches an api inside the VPC on its port, and nothing else there', () => {
    for (const hasInternet of [true, false]) {
      const all = policies(privateApi, hasInternet);

      expect(isAllowed(all, { from: model, to: apiTask, port: 8080 })).toBe(true);
      expect(isAllowed(all, { from: model, to: apiTask, port: 8080, protocol: 'UDP' })).toBe(false);
      for (const port of [80, 443, 6379]) {
        expect(isAllowed(all, { from: model, to: apiTask, port }), String(port)).toBe(false);
      }
    }
  });

  it('reaches an api on the internet by TLS, and no address of the VPC', () => {
    const all = policies(publicApi, false);

    expect(isAllowed(all, { from: model, to: somewhere, port: 443 })).toBe(true);
    expect(isAllowed(all, { from: model, to: somewhere, port: 80 })).toBe(false);
    expect(isAllowed(all, { from: model, to: apiTask, port: 443 })).toBe(false);
    expect(isAllowed(all, { from: model, to: apiTask, port: 8080 })).toBe(false);
  });

  it('has the internet where it is given', () => {
    for (const port of [80, 443, 8443]) {
      expect(isAllowed(policies(privateApi, true), { from: model, to: somewhere, port })).toBe(true);
      expect(isAllowed(policies(privateApi, false), { from: model, to: somewhere, port })).toBe(false);
    }
  });

  it('is kept from a VPC whose addresses are not private ones', () => {
    const own = { vpcCidr: '100.128.0.0/16', serviceCidr: '172.20.0.0/16' };
    const all = [{ namespace: 'mimeo-models', spec: modelsEgress(publicApi, true, own) }];

    expect(isAllowed(all, { from: model, to: { address: '100.128.3.4' }, port: 443 })).toBe(false);
    expect(isAllowed(all, { from: model, to: { address: '100.129.3.4' }, port: 443 })).toBe(true);
  });
});

describe('the director', () => {
  it('reaches names, the api and the API server, and no more', () => {
    const all = policies(privateApi, true);

    expect(isAllowed(all, { from: director, to: dns, port: 53, protocol: 'UDP' })).toBe(true);
    expect(isAllowed(all, { from: director, to: apiTask, port: 8080 })).toBe(true);
    expect(isAllowed(all, { from: director, to: apiServer, port: 443 })).toBe(true);
    expect(isAllowed(all, { from: director, to: apiServerInVpc, port: 443 })).toBe(true);
    for (const to of [somewhere, metadata, podIdentityAgent, model]) {
      expect(isAllowed(all, { from: director, to, port: 443 }), to.address).toBe(false);
    }
    expect(isAllowed(all, { from: director, to: podIdentityAgent, port: 80 })).toBe(false);
  });
});

describe('the autoscaler', () => {
  it('reaches names, the API server, AWS and its credentials, and no metadata over plain HTTP', () => {
    const all = policies(privateApi, true);

    expect(isAllowed(all, { from: autoscaler, to: dns, port: 53, protocol: 'UDP' })).toBe(true);
    expect(isAllowed(all, { from: autoscaler, to: apiServer, port: 443 })).toBe(true);
    expect(isAllowed(all, { from: autoscaler, to: somewhere, port: 443 })).toBe(true);
    expect(isAllowed(all, { from: autoscaler, to: podIdentityAgent, port: 80 })).toBe(true);
    expect(isAllowed(all, { from: autoscaler, to: metadata, port: 80 })).toBe(false);
    expect(isAllowed(all, { from: autoscaler, to: model, port: 443 })).toBe(false);
  });
});

describe("the system's own pods", () => {
  it('call whom they need, and only DNS is called', () => {
    const all = policies(privateApi, true);

    expect(isAllowed(all, { from: dns, to: apiServer, port: 443 })).toBe(true);
    expect(isAllowed(all, { from: autoscaler, to: plugin, port: 443 })).toBe(false);
    expect(isAllowed(all, { from: node, to: plugin, port: 8080 })).toBe(false);
  });
});

describe('the evaluator', () => {
  const web = pod('shop', { app: 'web' }, '10.0.0.1');
  const database = pod('shop', { app: 'database' }, '10.0.0.2');
  const stranger = pod('street', { app: 'web' }, '10.0.0.3');
  const byPod: PlacedPolicy = {
    namespace: 'shop',
    spec: {
      podSelector: { matchLabels: { app: 'database' } },
      policyTypes: ['Ingress'],
      ingress: [{ from: [{ podSelector: { matchLabels: { app: 'web' } } }] }],
    },
  };

  it('lets through what no policy speaks of', () => {
    expect(isAllowed([], { from: web, to: database, port: 5432 })).toBe(true);
    expect(isAllowed([byPod], { from: database, to: web, port: 80 })).toBe(true);
  });

  it('takes a selector of pods alone for those of the same namespace', () => {
    expect(isAllowed([byPod], { from: web, to: database, port: 5432 })).toBe(true);
    expect(isAllowed([byPod], { from: stranger, to: database, port: 5432 })).toBe(false);
  });

  it('adds up what policies allow, and takes empty lists for all', () => {
    const closed: PlacedPolicy = { namespace: 'shop', spec: denyAll };
    const open: PlacedPolicy = {
      namespace: 'shop',
      spec: { podSelector: {}, policyTypes: ['Ingress', 'Egress'], ingress: [{ from: [] }], egress: [{}] },
    };

    expect(isAllowed([closed], { from: web, to: database, port: 1 })).toBe(false);
    expect(isAllowed([closed, open], { from: web, to: database, port: 1 })).toBe(true);
    expect(isAllowed([closed, open], { from: stranger, to: database, port: 1 })).toBe(true);
  });

  it.each([
    ['10.0.0.0', '10.0.0.0/31', true],
    ['10.0.0.2', '10.0.0.0/31', false],
    ['255.255.255.255', '0.0.0.0/0', true],
    ['172.31.255.255', '172.16.0.0/12', true],
    ['172.32.0.0', '172.16.0.0/12', false],
    ['1.2.3.4', '1.2.3.4/32', true],
  ])('knows whether %s is in %s', (address, block, inside) => {
    expect(isInside(address, block)).toBe(inside);
  });
});
