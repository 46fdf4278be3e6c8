import { createPublicKey, verify } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { haveGoTools, howToHaveGoTools, kubernetesTools } from '../support/go-tools.ts';
import {
  type KubernetesApi,
  type KubernetesObject,
  KubernetesRefusal,
  startKubernetesApi,
} from '../support/kubernetes-api.ts';

// vitest.config.ts leaves this file out where they are not there.
if (!haveGoTools(kubernetesTools)) throw new Error(howToHaveGoTools(kubernetesTools));

describe('a Kubernetes API server of our own', suite);

const namespace: KubernetesObject = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'models' } };
const account: KubernetesObject = {
  apiVersion: 'v1',
  kind: 'ServiceAccount',
  metadata: { name: 'runner', namespace: 'models' },
};

function networkPolicy(policyTypes: readonly string[]): KubernetesObject {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: 'default-deny', namespace: 'models' },
    spec: { podSelector: {}, policyTypes },
  };
}

function suite(): void {
  let api: KubernetesApi;

  beforeAll(async () => {
    api = await startKubernetesApi();
    await api.apply([namespace, account]);
  });
  afterAll(() => api?.stop());

  it('takes an object that is right, and keeps nothing of a dry run', async () => {
    const [said] = await api.apply([networkPolicy(['Ingress', 'Egress'])], { dryRun: true });

    expect(said?.kind).toBe('NetworkPolicy');
    const path = '/apis/networking.k8s.io/v1/namespaces/models/networkpolicies/default-deny';
    await expect(api.request('GET', path)).rejects.toMatchObject({ status: 404 });
  });

  it("refuses a value that is wrong, in the server's words", async () => {
    const refusal = await api.apply([networkPolicy(['Sideways'])], { dryRun: true }).catch((error) => error);

    expect(refusal).toBeInstanceOf(KubernetesRefusal);
    expect(refusal.status).toBe(422);
    expect(refusal.message).toContain('spec.policyTypes[0]: Unsupported value: "Sideways"');
  });

  it('refuses a field that there is not', async () => {
    const misspelt = { ...networkPolicy(['Ingress']), spec: { podSelektor: {} } };

    await expect(api.apply([misspelt], { dryRun: true })).rejects.toThrow('podSelektor');
  });

  it('refuses a kind that there is not', async () => {
    const unknown = { apiVersion: 'v1', kind: 'Modell', metadata: { name: 'a' } };

    await expect(api.apply([unknown], { dryRun: true })).rejects.toThrow('the server has no Modell of v1');
  });

  it('enforces what a namespace says of its pods', async () => {
    const labels = { 'pod-security.kubernetes.io/enforce': 'baseline' };
    const strict = { ...namespace, metadata: { name: 'strict', labels } };
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'model', namespace: 'strict' },
      spec: { hostNetwork: true, containers: [{ name: 'cog', image: 'model' }] },
    };
    await api.apply([strict]);

    await expect(api.apply([pod], { dryRun: true })).rejects.toThrow(
      'violates PodSecurity "baseline:latest": host namespaces',
    );
  });

  it('lets in nobody without a token, and a ServiceAccount to nothing that no role grants', async () => {
    const token = await api.serviceAccountToken('models', 'runner', api.issuer);

    await expect(api.request('GET', '/api/v1/pods', undefined, 'nobody')).rejects.toMatchObject({
      status: 401,
    });
    await expect(api.request('GET', '/api/v1/pods', undefined, token)).rejects.toMatchObject({ status: 403 });
  });

  it('signs tokens for an audience with a key that it publishes', async () => {
    const token = await api.serviceAccountToken('models', 'runner', 'mimeo');

    const { keys } = keysSchema.parse(await api.request('GET', '/openid/v1/jwks'));
    const [header = '', payload = '', signature = ''] = token.split('.');
    const { kid } = z.object({ kid: z.string() }).parse(decode(header));
    const key = keys.find((one) => one.kid === kid);
    const signed = Buffer.from(`${header}.${payload}`);
    const isSigned = verify(
      'sha256',
      signed,
      createPublicKey({ key: key ?? {}, format: 'jwk' }),
      Buffer.from(signature, 'base64url'),
    );
    expect(isSigned).toBe(true);
    expect(decode(payload)).toMatchObject({
      aud: ['mimeo'],
      iss: api.issuer,
      sub: 'system:serviceaccount:models:runner',
    });
  });

  it('says in its discovery document who issues tokens, and where the keys are', async () => {
    expect(await api.request('GET', '/.well-known/openid-configuration')).toMatchObject({
      issuer: api.issuer,
      jwks_uri: `${api.issuer}/openid/v1/jwks`,
    });
  });
}

const keysSchema = z.object({ keys: z.array(z.looseObject({ kid: z.string(), kty: z.string() })) });

function decode(part: string): unknown {
  return JSON.parse(Buffer.from(part, 'base64url').toString());
}
