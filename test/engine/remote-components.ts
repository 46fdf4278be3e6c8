import type { ConstructRequest } from '@pulumi/pulumi/proto/provider_pb.js';
import { type Properties, plainProperties, unknownValue } from './property-values.ts';
import { fromStruct, grpc, resourceMessages, resourceService, toStruct } from './protocol.ts';

/** A resource inside a component that the provider expands, as awsx's does. */
interface Child {
  readonly type: string;
  /** Logical name: the component's, then this. */
  readonly role: string;
  readonly inputs: Properties;
  /** Inputs that are outputs of children before it. */
  readonly from?: Readonly<Record<string, readonly [Child, string]>>;
}

/** What awsx's components are made of, the parts that cost something or that others ask for. Source: pulumi-awsx, awsx/. */
const childrenOf: Readonly<Record<string, (inputs: Properties) => readonly Child[]>> = {
  'awsx:ec2:Vpc': vpcChildren,
  'awsx:lb:ApplicationLoadBalancer': balancerChildren,
  'awsx:ecs:FargateService': serviceChildren,
};

function balancerChildren(inputs: Properties): readonly Child[] {
  const { listeners, defaultTargetGroup, defaultSecurityGroup: _, subnetIds, ...balancer } = inputs;
  return [
    { type: 'aws:lb/loadBalancer:LoadBalancer', role: '', inputs: { ...balancer, subnets: subnetIds } },
    { type: 'aws:lb/targetGroup:TargetGroup', role: '', inputs: asObject(defaultTargetGroup) },
    ...asList(listeners).map((listener, at) => ({
      type: 'aws:lb/listener:Listener',
      role: `-${at}`,
      inputs: asObject(listener),
    })),
  ];
}

function serviceChildren({ taskDefinitionArgs, ...service }: Properties): readonly Child[] {
  const { containers, taskRole, executionRole, logGroup: _, ...task } = asObject(taskDefinitionArgs);
  const definition: Child = {
    type: 'aws:ecs/taskDefinition:TaskDefinition',
    role: '',
    inputs: {
      ...task,
      taskRoleArn: asObject(taskRole).roleArn,
      executionRoleArn: asObject(executionRole).roleArn,
      containerDefinitions: asJson(Object.values(asObject(containers))),
    },
  };
  return [
    definition,
    {
      type: 'aws:ecs/service:Service',
      role: '',
      inputs: { ...service, launchType: 'FARGATE' },
      from: { taskDefinition: [definition, 'arn'] },
    },
  ];
}

/** Of a text, nothing is known as long as one part of it is not. */
function asJson(value: unknown): string {
  const text = JSON.stringify(value);
  return text.includes(unknownValue) ? unknownValue : text;
}

function vpcChildren(inputs: Properties): readonly Child[] {
  const zones = Number(inputs.numberOfAvailabilityZones ?? 3);
  const strategy = asObject(inputs.natGateways).strategy ?? 'OnePerAz';
  const gateways = strategy === 'None' ? 0 : strategy === 'Single' ? 1 : zones;
  const subnets = asList(inputs.subnetSpecs).map((spec) => String(asObject(spec).type).toLowerCase());
  return [
    { type: 'aws:ec2/vpc:Vpc', role: '', inputs: { cidrBlock: inputs.cidrBlock } },
    { type: 'aws:ec2/internetGateway:InternetGateway', role: '', inputs: {} },
    ...subnets.flatMap((kind) =>
      Array.from({ length: zones }, (_, at) => ({
        type: 'aws:ec2/subnet:Subnet',
        role: `-${kind}-${at + 1}`,
        inputs: { mapPublicIpOnLaunch: kind === 'public' },
      })),
    ),
    ...Array.from({ length: gateways }, (_, at) => [
      { type: 'aws:ec2/eip:Eip', role: `-${at + 1}`, inputs: {} },
      { type: 'aws:ec2/natGateway:NatGateway', role: `-${at + 1}`, inputs: {} },
    ]).flat(),
  ];
}

function asObject(value: unknown): Properties {
  return typeof value === 'object' && value !== null ? (value as Properties) : {};
}

function asList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/**
 * Registers a component and its children with the engine, as a provider of components does.
 * @param stateOf what the component with that URN says of itself
 */
export async function constructComponent(
  request: ConstructRequest,
  stateOf: (urn: string) => Properties,
): Promise<{ readonly urn: string; readonly state: Properties }> {
  const monitor = new resourceService.ResourceMonitorClient(
    request.getMonitorendpoint(),
    grpc.credentials.createInsecure(),
  );
  const inputs = plainProperties(fromStruct(request.getInputs()));
  const register = async (child: Child, isCustom: boolean, parent: string): Promise<Registered> => {
    const message = new resourceMessages.RegisterResourceRequest();
    message.setType(child.type);
    message.setName(`${request.getName()}${child.role}`);
    message.setParent(parent);
    message.setCustom(isCustom);
    message.setObject(toStruct(child.inputs));
    message.setAcceptsecrets(true);
    message.setAcceptresources(true);
    if (isCustom) message.setProvider(request.getProvidersMap().get('aws') ?? '');
    return await new Promise((resolve, reject) => {
      monitor.registerResource(message, (error, response) => {
        if (error) return reject(error);
        resolve({
          urn: response.getUrn(),
          state: plainProperties(fromStruct(response.getObject())),
        });
      });
    });
  };
  try {
    const type = request.getType();
    const { urn } = await register({ type, role: '', inputs: {} }, false, request.getParent());
    await registerChildren(childrenOf[type]?.(inputs) ?? [], (child) => register(child, true, urn));
    const state = stateOf(urn);
    const outputs = new resourceMessages.RegisterResourceOutputsRequest();
    outputs.setUrn(urn);
    outputs.setOutputs(toStruct(state));
    await new Promise<void>((resolve, reject) => {
      monitor.registerResourceOutputs(outputs, (error) => (error ? reject(error) : resolve()));
    });
    return { urn, state };
  } finally {
    monitor.close();
  }
}

/** What the engine says of a child. */
interface Registered {
  readonly urn: string;
  readonly state: Properties;
}

/** Registers children, those that ask for another's outputs after it. */
async function registerChildren(
  children: readonly Child[],
  register: (child: Child) => Promise<Registered>,
): Promise<void> {
  const made = new Map<Child, Promise<Registered>>();
  const make = async ({ from = {}, ...child }: Child): Promise<Registered> => {
    const asked = Object.entries(from).map(async ([name, [other, output]]) => {
      const { state } = (await made.get(other)) ?? { state: {} as Properties };
      return [name, state[output] ?? unknownValue] as const;
    });
    return register({
      ...child,
      inputs: { ...child.inputs, ...Object.fromEntries(await Promise.all(asked)) },
    });
  };
  for (const child of children) made.set(child, make(child));
  await Promise.all(made.values());
}
