import { configOf, recordCapacity } from '../infra/components/capacity.ts';
import type { KubernetesObject } from '../support/kubernetes-api.ts';

const first = ['Namespace', 'PriorityClass', 'ServiceAccount'];

/** Every object that the stack makes in its cluster, in an order in which a server takes them. */
export async function stackObjects(
  settings: Parameters<typeof configOf>[0] = {},
): Promise<readonly KubernetesObject[]> {
  const { resources } = await recordCapacity(configOf(settings));
  return resources
    .filter(({ type }) => type.startsWith('kubernetes:'))
    .map(({ inputs }) => inputs as unknown as KubernetesObject)
    .sort((a, b) => Number(first.includes(b.kind)) - Number(first.includes(a.kind)));
}
