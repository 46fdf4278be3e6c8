import { at, listAt, type PolicedResource } from './resource.ts';

/** A variable that a process starts with. */
export interface EnvironmentVariable {
  readonly name: string;
  /** `notKnown` in a preview where it is an output. */
  readonly value: unknown;
}

const kubernetesWorkloads: readonly string[] = ['Deployment', 'DaemonSet', 'StatefulSet', 'Job'];

/** Types of resources that start processes with variables. */
export function hasEnvironmentVariables(type: string): boolean {
  return (
    type === 'aws:lambda/function:Function' ||
    type === 'aws:ecs/taskDefinition:TaskDefinition' ||
    type === 'awsx:ecs:FargateService' ||
    type === 'awsx:ecs:FargateTaskDefinition' ||
    type === 'kubernetes:core/v1:ConfigMap' ||
    type === 'kubernetes:core/v1:Pod' ||
    isWorkload(type)
  );
}

/** The variables of what a resource starts; none for what starts nothing, or is not known before the update. */
export function environmentVariablesOf({ type, props }: PolicedResource): readonly EnvironmentVariable[] {
  switch (type) {
    case 'aws:lambda/function:Function':
      return fromRecord(at(props, 'environment', 'variables'));
    case 'kubernetes:core/v1:ConfigMap':
      return fromRecord(at(props, 'data'));
    case 'aws:ecs/taskDefinition:TaskDefinition':
      return fromContainers(readDefinitions(at(props, 'containerDefinitions')));
    case 'awsx:ecs:FargateService':
      return fromTask(at(props, 'taskDefinitionArgs'));
    case 'awsx:ecs:FargateTaskDefinition':
      return fromTask(props);
    case 'kubernetes:core/v1:Pod':
      return fromContainers(containersOf(at(props, 'spec')));
    default:
      return isWorkload(type) ? fromContainers(containersOf(at(props, 'spec', 'template', 'spec'))) : [];
  }
}

function isWorkload(type: string): boolean {
  const [provider, , kind = ''] = type.split(':');
  return provider === 'kubernetes' && kubernetesWorkloads.includes(kind);
}

function containersOf(pod: unknown): readonly unknown[] {
  return [...listAt(pod, 'containers'), ...listAt(pod, 'initContainers')];
}

/** Of awsx's task: one container, or several by name. */
function fromTask(task: unknown): readonly EnvironmentVariable[] {
  const several = at(task, 'containers');
  const named = typeof several === 'object' && several !== null ? Object.values(several) : [];
  return fromContainers([...listAt(task, 'container'), ...named]);
}

function readDefinitions(value: unknown): readonly unknown[] {
  if (typeof value !== 'string') return [];
  const definitions: unknown = JSON.parse(value);
  return Array.isArray(definitions) ? definitions : [];
}

function fromContainers(containers: readonly unknown[]): readonly EnvironmentVariable[] {
  return containers.flatMap((container) =>
    [...listAt(container, 'environment'), ...listAt(container, 'env')].flatMap((variable) => {
      const name = at(variable, 'name');
      return typeof name === 'string' ? [{ name, value: at(variable, 'value') }] : [];
    }),
  );
}

function fromRecord(record: unknown): readonly EnvironmentVariable[] {
  if (typeof record !== 'object' || record === null) return [];
  return Object.entries(record).map(([name, value]) => ({ name, value }));
}
