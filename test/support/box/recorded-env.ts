import { z } from 'zod';
import type { RecordedResource } from '../../../infra/plan/record.ts';

const containerSchema = z.object({
  taskDefinitionArgs: z.object({
    containers: z.object({
      api: z.object({ environment: z.array(z.object({ name: z.string(), value: z.string() })) }),
    }),
  }),
});

const functionSchema = z.object({
  timeout: z.number(),
  role: z.string(),
  environment: z.object({ variables: z.record(z.string(), z.string()) }),
});

const mappingSchema = z.object({
  eventSourceArn: z.string(),
  functionName: z.string(),
  batchSize: z.number().optional(),
  filterCriteria: z.object({ filters: z.array(z.object({ pattern: z.string() })) }).optional(),
});

const scheduleSchema = z.object({ target: z.object({ arn: z.string(), input: z.string().optional() }) });

/** What a service is given by the stack. */
export interface DeclaredService {
  /** Logical name of its function, or `api`. */
  readonly name: string;
  readonly env: Readonly<Record<string, string>>;
}

/** A function of the stack. */
export interface DeclaredFunction extends DeclaredService {
  readonly arn: string;
  readonly roleArn: string;
  /** The folder of its bundle: metering, webhooks, registrar or sweeper. */
  readonly service: string;
  readonly timeoutMs: number;
}

/** A source of a function: a stream or a queue. */
export interface DeclaredSource {
  readonly arn: string;
  readonly functionName: string;
  readonly batchSize: number | undefined;
  readonly filters: readonly unknown[] | undefined;
}

/** Exactly the variables of the api's task definition. */
export function declaredApi(resources: readonly RecordedResource[]): DeclaredService {
  const [service] = ofType(resources, 'awsx:ecs:FargateService');
  const { taskDefinitionArgs } = containerSchema.parse(service?.inputs);
  const env = Object.fromEntries(
    taskDefinitionArgs.containers.api.environment.map(({ name, value }) => [name, value]),
  );
  return { name: 'api', env };
}

/** Every function with exactly its variables. */
export function declaredFunctions(resources: readonly RecordedResource[]): readonly DeclaredFunction[] {
  return ofType(resources, 'aws:lambda/function:Function').map(({ name, inputs, outputs }) => {
    const { timeout, role, environment } = functionSchema.parse(inputs);
    const service = /^(metering|webhooks|registrar|sweeper)/.exec(name)?.[0];
    if (service === undefined) throw new Error(`${name} is no service's function`);
    const arn = String(outputs.arn);
    return { name, service, arn, roleArn: role, timeoutMs: timeout * 1000, env: environment.variables };
  });
}

/** The sources that call functions. */
export function declaredSources(resources: readonly RecordedResource[]): readonly DeclaredSource[] {
  return ofType(resources, 'aws:lambda/eventSourceMapping:EventSourceMapping').map(({ inputs }) => {
    const { eventSourceArn, functionName, batchSize, filterCriteria } = mappingSchema.parse(inputs);
    const filters = filterCriteria?.filters.map(({ pattern }) => JSON.parse(pattern) as unknown);
    return { arn: eventSourceArn, functionName, batchSize, filters };
  });
}

/** What schedules send, by the ARN of the function that they call. */
export function declaredSchedules(
  resources: readonly RecordedResource[],
): readonly { readonly functionArn: string; readonly input: unknown }[] {
  return ofType(resources, 'aws:scheduler/schedule:Schedule').map(({ inputs }) => {
    const { target } = scheduleSchema.parse(inputs);
    return { functionArn: target.arn, input: JSON.parse(target.input ?? '{}') as unknown };
  });
}

/** The statements' documents that each role has, by the role's name. */
export function declaredPolicies(
  resources: readonly RecordedResource[],
): ReadonlyMap<string, readonly string[]> {
  const policies = new Map<string, string[]>();
  for (const { inputs } of ofType(resources, 'aws:iam/rolePolicy:RolePolicy')) {
    const role = String(inputs.role);
    policies.set(role, [...(policies.get(role) ?? []), String(inputs.policy)]);
  }
  return policies;
}

/** The resources of one type, in the order in which they were asked for. */
export function ofType(resources: readonly RecordedResource[], type: string): readonly RecordedResource[] {
  return resources.filter((resource) => resource.type === type);
}
