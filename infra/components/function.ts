import { join } from 'node:path';
import * as aws from '@pulumi/aws';
import * as pulumi from '@pulumi/pulumi';
import type { z } from 'zod';
import type { StackConfig } from '../config.ts';
import { physicalName } from '../names.ts';
import { Component, type StackIdentity } from './component.ts';
import type { ServiceEnvironment } from './environment.ts';
import { type Grantee, grant, serviceRole } from './grant.ts';
import { reservedConcurrency } from './reserved-concurrency.ts';
import type { ServiceQueue } from './service-queue.ts';

/** What all functions of a stack are given. */
export interface FunctionContext {
  readonly identity: StackIdentity;
  readonly logs: StackConfig['logs'];
  readonly settings: StackConfig['functions'];
  /** The folder of the bundles: SERVICE/main.mjs. */
  readonly bundles: string;
}

/** What becomes of events that are handed over without waiting for an answer. */
export interface AsynchronousCalls {
  /** Further tries of an event whose call failed, 0 to 2: about one minute and then two minutes later. */
  readonly retries: number;
  /** An event that waited for longer than this is given up, 60 to 21,600 seconds. */
  readonly maxAgeSeconds: number;
  /** Where events go that were given up. */
  readonly deadLetter: ServiceQueue;
}

export interface ServiceFunctionArgs<Schema extends z.ZodObject> extends FunctionContext {
  /** The folder under `services`. */
  readonly service: keyof typeof reservedConcurrency;
  /** What it does, in a sentence, for the console. */
  readonly description: string;
  readonly memoryMb: number;
  /** Longest time of one call. */
  readonly timeoutSeconds: number;
  /** Its variables, by its own env.ts. The ARN of a secret stands for its text. */
  readonly environment: ServiceEnvironment<Schema>;
  /** Given where something calls it without waiting for an answer. */
  readonly asynchronous?: AsynchronousCalls;
}

/** A service that Lambda runs, outside of the network, from the bundle that esbuild makes of it. */
export class ServiceFunction<Schema extends z.ZodObject = z.ZodObject> extends Component {
  public readonly functionName: pulumi.Output<string>;
  public readonly functionArn: pulumi.Output<string>;
  /** Its role, to be granted what it needs. */
  public readonly grantee: Grantee;
  public readonly logGroupName: pulumi.Output<string>;
  /** As it was given, for tests. */
  public readonly environment: ServiceEnvironment<Schema>;

  constructor(name: string, args: ServiceFunctionArgs<Schema>, opts?: pulumi.ComponentResourceOptions) {
    super('ServiceFunction', name, opts);
    const { identity, settings, service, environment, asynchronous } = args;
    const { project, environment: stack } = identity;
    const functionName = physicalName('function', project, stack, service);
    const logs = new aws.cloudwatch.LogGroup(
      this.childName('logs'),
      { name: `/aws/lambda/${functionName}`, retentionInDays: args.logs.retentionDays },
      this.child(),
    );
    const role = { name: physicalName('role', project, stack, service) };
    this.grantee = serviceRole(this.childName('role'), 'lambda.amazonaws.com', this.child(), role);
    // Its own group only: the managed policy for it would let it write to every group of the account.
    const actions = ['logs:CreateLogStream', 'logs:PutLogEvents'];
    const mayLog = grant(
      this.childName('write-logs'),
      this.grantee,
      [{ actions, resources: [pulumi.interpolate`${logs.arn}:*`] }],
      this.child(),
    );
    const main = new pulumi.asset.FileAsset(join(args.bundles, service, 'main.mjs'));
    const lambda = new aws.lambda.Function(
      this.childName('lambda'),
      {
        name: functionName,
        description: args.description,
        runtime: 'nodejs24.x',
        architectures: ['arm64'],
        handler: 'main.handler',
        code: new pulumi.asset.AssetArchive({ 'main.mjs': main }),
        role: this.grantee.role.arn,
        memorySize: args.memoryMb,
        timeout: args.timeoutSeconds,
        ...(settings.reserveConcurrency
          ? { reservedConcurrentExecutions: reservedConcurrency[service] }
          : {}),
        environment: { variables: given(environment) },
        // As text, because the service writes JSON itself, which the filters of its figures read as it stands.
        loggingConfig: { logFormat: 'Text', logGroup: logs.name },
      },
      this.child({ dependsOn: [mayLog] }),
    );
    this.functionName = lambda.name;
    this.functionArn = lambda.arn;
    this.logGroupName = logs.name;
    this.environment = environment;
    if (asynchronous) this.#boundCalls(asynchronous);
    this.registerOutputs({ functionName: this.functionName, functionArn: this.functionArn });
  }

  /** Lets a service of AWS call it, for one of its resources. */
  allowCallsOf(role: string, service: string, sourceArn: pulumi.Input<string>): aws.lambda.Permission {
    return new aws.lambda.Permission(
      this.childName(role),
      { action: 'lambda:InvokeFunction', function: this.functionName, principal: service, sourceArn },
      this.child(),
    );
  }

  /** Lets a role call it. */
  grantInvoke(grantee: Grantee): aws.iam.RolePolicy {
    const statement = { actions: ['lambda:InvokeFunction'], resources: [this.functionArn] };
    return grant(this.childName('invoke'), grantee, [statement], this.child());
  }

  #boundCalls({ retries, maxAgeSeconds, deadLetter }: AsynchronousCalls): void {
    const maySend = deadLetter.grantSend(this.grantee);
    new aws.lambda.FunctionEventInvokeConfig(
      this.childName('calls'),
      {
        functionName: this.functionName,
        maximumRetryAttempts: retries,
        maximumEventAgeInSeconds: maxAgeSeconds,
        destinationConfig: { onFailure: { destination: deadLetter.arn } },
      },
      // Lambda refuses a destination that the function's role may not send to.
      this.child({ dependsOn: [maySend] }),
    );
  }
}

/** Without what is not given. */
function given(environment: object): Record<string, pulumi.Input<string>> {
  const variables = environment as Readonly<Record<string, pulumi.Input<string> | undefined>>;
  return Object.fromEntries(Object.entries(variables).flatMap(([k, v]) => (v === undefined ? [] : [[k, v]])));
}

/**
 * The level of a function's log that figures are made of: they are on lines of level `info`, so it is not turned lower.
 */
export function measuredLevel(level: StackConfig['logs']['level']): 'debug' | 'info' {
  return level === 'debug' ? 'debug' : 'info';
}
