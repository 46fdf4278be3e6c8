import { afterAll, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import {
  directorAccount,
  modelsNamespace,
  runnerAccount,
  systemNamespace,
} from '../../services/core/kubernetes-names.ts';
import { type KubernetesApi, KubernetesRefusal, startKubernetesApi } from '../support/kubernetes-api.ts';
import { capacityObjects } from './world.ts';

let api: KubernetesApi;
let token: string;

beforeAll(async () => {
  api = await startKubernetesApi();
  await api.apply(await capacityObjects());
  token = await api.serviceAccountToken(systemNamespace, directorAccount, api.url);
});
afterAll(() => api?.stop());

const reviewSchema = z.object({ status: z.object({ allowed: z.boolean() }) });

/** Whether the API server lets the director do it. @param what `group/resource/subresource`, the first empty for the core */
async function may(verb: string, what: string, namespace?: string): Promise<boolean> {
  const [group, resource, subresource] = what.split('/');
  const resourceAttributes = { verb, group, resource, subresource, namespace };
  const body = {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SelfSubjectAccessReview',
    spec: { resourceAttributes },
  };
  const path = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';
  return reviewSchema.parse(await api.request('POST', path, body, token)).status.allowed;
}

it.each<[string, string, string | undefined]>([
  ['create', '/pods', modelsNamespace],
  ['list', '/pods', modelsNamespace],
  ['watch', '/pods', modelsNamespace],
  ['patch', '/pods', modelsNamespace],
  ['delete', '/pods', modelsNamespace],
  ['list', '/events', modelsNamespace],
  ['watch', '/nodes', undefined],
  ['update', 'coordination.k8s.io/leases', systemNamespace],
])('the director may %s %s in %s', async (verb, what, namespace) => {
  expect(await may(verb, what, namespace)).toBe(true);
});

const elsewhere = [systemNamespace, 'kube-system', 'default', undefined];

it.each<[string, string, readonly (string | undefined)[]]>([
  ['create', '/pods', elsewhere],
  ['list', '/pods', elsewhere],
  ['delete', '/pods', elsewhere],
  // Whoever could would read what a model works on, or act as its runner.
  ['create', '/pods/exec', [modelsNamespace, ...elsewhere]],
  ['create', '/pods/attach', [modelsNamespace, ...elsewhere]],
  ['create', '/pods/portforward', [modelsNamespace, ...elsewhere]],
  ['patch', '/pods/ephemeralcontainers', [modelsNamespace, ...elsewhere]],
  ['list', '/secrets', [modelsNamespace, ...elsewhere]],
  ['get', '/secrets', elsewhere],
  // A token of another account would be another's rights.
  ['create', '/serviceaccounts/token', [modelsNamespace, ...elsewhere]],
  ['create', '/serviceaccounts', [modelsNamespace, ...elsewhere]],
  ['impersonate', '/serviceaccounts', [modelsNamespace, ...elsewhere]],
  ['create', '/nodes', [undefined]],
  ['patch', '/nodes', [undefined]],
  ['delete', '/nodes', [undefined]],
  ['get', '/nodes/proxy', [undefined]],
  ['patch', '/resourcequotas', [modelsNamespace]],
  ['delete', '/namespaces', [modelsNamespace, undefined]],
  ['patch', 'networking.k8s.io/networkpolicies', [modelsNamespace, ...elsewhere]],
  ['delete', 'networking.k8s.io/networkpolicies', [modelsNamespace, ...elsewhere]],
  ['patch', 'admissionregistration.k8s.io/validatingadmissionpolicies', [undefined]],
  ['create', 'rbac.authorization.k8s.io/rolebindings', [modelsNamespace, ...elsewhere]],
  ['patch', 'rbac.authorization.k8s.io/roles', [modelsNamespace, ...elsewhere]],
  ['escalate', 'rbac.authorization.k8s.io/roles', [modelsNamespace, ...elsewhere]],
  ['update', 'coordination.k8s.io/leases', ['kube-system', 'kube-node-lease', modelsNamespace]],
  ['create', 'apps/deployments', [modelsNamespace, ...elsewhere]],
])('the director may not %s %s elsewhere than it must', async (verb, what, namespaces) => {
  for (const namespace of namespaces) expect(await may(verb, what, namespace), namespace).toBe(false);
});

it('is told so by the server when it tries', async () => {
  const refusal = await api
    .request('GET', '/api/v1/namespaces/kube-system/secrets', undefined, token)
    .catch((error: unknown) => error);

  expect(refusal).toBeInstanceOf(KubernetesRefusal);
  expect(refusal).toMatchObject({ status: 403 });
});

it("lets a model's runner do nothing at all", async () => {
  const runner = await api.serviceAccountToken(modelsNamespace, runnerAccount, api.url);

  for (const path of ['pods', 'secrets', 'configmaps', 'events', 'serviceaccounts']) {
    await expect(
      api.request('GET', `/api/v1/namespaces/${modelsNamespace}/${path}`, undefined, runner),
    ).rejects.toMatchObject({ status: 403 });
  }
  await expect(api.request('GET', '/api/v1/nodes', undefined, runner)).rejects.toMatchObject({ status: 403 });
});

it('network policies of models shut everything that is not opened', async () => {
  const path = `/apis/networking.k8s.io/v1/namespaces/${modelsNamespace}/networkpolicies`;
  const { items } = z
    .object({
      items: z.array(
        z.object({ spec: z.looseObject({ podSelector: z.object({}), policyTypes: z.array(z.string()) }) }),
      ),
    })
    .parse(await api.request('GET', path));

  const shut = items.find(({ spec }) => !('ingress' in spec) && !('egress' in spec));
  expect(shut?.spec.podSelector).toEqual({});
  expect(shut?.spec.policyTypes.toSorted()).toEqual(['Egress', 'Ingress']);
  expect(items.every(({ spec }) => !('ingress' in spec))).toBe(true);
});
