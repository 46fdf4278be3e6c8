import type { RecordedResource } from '../record.ts';
import type { Charge, Unpriced } from './cost-line.ts';
import type { ResourceGraph } from './graph.ts';
import { listAt, numberAt, textAt, valueAt } from './inputs.ts';
import { type Pricers, priceOf, standing } from './pricer.ts';

/** GB of disk that a task has without extra charge. Source: ECS, "Fargate task ephemeral storage". */
const freeDiskGb = 20;
/** What awsx gives a task that says nothing. Source: @pulumi/awsx, FargateServiceTaskDefinition. */
const usualCpu = 256;
const usualMemoryMb = 512;

/** Tasks of Fargate. */
export const containerPricers: Pricers = {
  'awsx:ecs:FargateService': (service, graph) => {
    if (graph.isExpanded(service)) return [];
    return tasks(service, valueAt(service.inputs, 'taskDefinitionArgs'), graph);
  },
  'aws:ecs/service:Service': (service, graph) => {
    const definition = graph.relatedOf(service, 'aws:ecs/taskDefinition:TaskDefinition')[0];
    return tasks(service, definition?.inputs, graph);
  },
};

function tasks(
  service: RecordedResource,
  definition: unknown,
  graph: ResourceGraph,
): readonly (Charge | Unpriced)[] {
  if (textAt(service.inputs, 'launchType') === 'EC2') return [];
  if (listAt(service.inputs, 'capacityProviderStrategies').length > 0) {
    return [{ unpriced: 'tasks of a capacity provider may be of any price' }];
  }
  const { min, max } = countOf(service, graph);
  const container = valueAt(definition, 'container');
  const cpu = numberAt(definition, 'cpu') ?? numberAt(container, 'cpu') ?? usualCpu;
  const memoryMb = numberAt(definition, 'memory') ?? numberAt(container, 'memory') ?? usualMemoryMb;
  const isArm = textAt(definition, 'runtimePlatform', 'cpuArchitecture') === 'ARM64';
  const kind = isArm ? 'arm' : 'x86';
  const diskGb = Math.max(0, (numberAt(definition, 'ephemeralStorage', 'sizeInGib') ?? 0) - freeDiskGb);
  const of = (what: string, item: string, unit: string, amount: number): Charge => ({
    ...standing(what, priceOf(graph, 'fargate', item), min * amount, max * amount),
    unit,
  });
  const charges = [
    of(`Fargate vCPUs, ${isArm ? 'arm64' : 'amd64'}`, `${kind}_vcpu_hour`, 'vCPU-hour', cpu / 1024),
    of('Fargate memory', `${kind}_gb_hour`, 'GB-hour', memoryMb / 1024),
    of('Fargate disk above 20 GB', 'ephemeral_gb_hour_over_20', 'GB-hour', diskGb),
  ];
  if (valueAt(service.inputs, 'networkConfiguration', 'assignPublicIp') !== true) {
    if (valueAt(service.inputs, 'assignPublicIp') !== true) return charges;
  }
  const address = priceOf(graph, 'public_ipv4', 'hour');
  return [...charges, standing('public addresses of tasks', address, min, max)];
}

/** Tasks at least and at most, as the autoscaling target of its component says. */
function countOf(service: RecordedResource, graph: ResourceGraph) {
  const target = graph
    .relatedOf(service, 'aws:appautoscaling/target:Target')
    .find(({ inputs }) => textAt(inputs, 'serviceNamespace') === 'ecs');
  const desired = numberAt(service.inputs, 'desiredCount') ?? 1;
  return {
    min: numberAt(target?.inputs, 'minCapacity') ?? desired,
    max: numberAt(target?.inputs, 'maxCapacity') ?? desired,
  };
}
