import * as aws from '@pulumi/aws';
import type * as pulumi from '@pulumi/pulumi';
import type { registrarEnvironment } from '../../services/registrar/env.ts';
import { Component } from './component.ts';
import { type FunctionContext, ServiceFunction } from './function.ts';
import type { Registry } from './registry.ts';
import { ServiceQueue } from './service-queue.ts';
import type { Table } from './table.ts';

/** Seconds that a push may wait to be handled, by EventBridge and again by Lambda, which keeps events no longer. */
const maxAgeSeconds = 6 * 3600;

export interface RegistrarArgs extends FunctionContext {
  /** Where versions lie. */
  readonly table: Table;
  /** Whose pushes it hears of. */
  readonly registry: Registry;
}

/** Makes a version of each image that is pushed. */
export class Registrar extends Component {
  public readonly function: ServiceFunction<typeof registrarEnvironment>;
  /** Where pushes go that could not be handled. */
  public readonly deadLetterName: pulumi.Output<string>;

  constructor(name: string, args: RegistrarArgs, opts?: pulumi.ComponentResourceOptions) {
    super('Registrar', name, opts);
    const { identity, logs, settings, bundles, table, registry } = args;
    const rule = new aws.cloudwatch.EventRule(
      this.childName('pushes'),
      {
        description: "Images that were pushed to models' repositories",
        eventPattern: JSON.stringify(pushPattern(registry.prefix)),
      },
      this.child(),
    );
    const deadLetter = new ServiceQueue(
      this.childName('dead'),
      {
        identity,
        role: 'registrar-dead',
        senders: [{ service: 'events.amazonaws.com', sourceArn: rule.arn }],
      },
      { parent: this },
    );
    this.function = new ServiceFunction(
      this.childName('function'),
      {
        identity,
        logs,
        settings,
        bundles,
        service: 'registrar',
        description: 'Makes a version of each image that is pushed',
        memoryMb: 256,
        timeoutSeconds: 60,
        environment: {
          MIMEO_TABLE: table.name,
          MIMEO_REPOSITORY_PREFIX: registry.prefix,
          MIMEO_LOG_LEVEL: logs.level,
        },
        asynchronous: { retries: 2, maxAgeSeconds, deadLetter },
      },
      { parent: this },
    );
    table.grant(this.function.grantee, ['GetItem', 'PutItem']);
    registry.grantRead(this.function.grantee);
    const permission = this.function.allowCallsOf('from-pushes', 'events.amazonaws.com', rule.arn);
    new aws.cloudwatch.EventTarget(
      this.childName('target'),
      {
        rule: rule.name,
        arn: this.function.functionArn,
        // Of handing over; what the function itself fails at Lambda tries again.
        retryPolicy: { maximumRetryAttempts: 10, maximumEventAgeInSeconds: maxAgeSeconds },
        deadLetterConfig: { arn: deadLetter.arn },
      },
      this.child({ dependsOn: [permission] }),
    );
    this.deadLetterName = deadLetter.queueName;
    this.registerOutputs({ deadLetterName: this.deadLetterName });
  }
}

/**
 * The events that `readPushEvent` of the registrar takes, of the repositories under a prefix.
 * Source: https://docs.aws.amazon.com/AmazonECR/latest/userguide/ecr-eventbridge.html
 */
export function pushPattern(prefix: string): object {
  return {
    source: ['aws.ecr'],
    'detail-type': ['ECR Image Action'],
    detail: {
      'action-type': ['PUSH'],
      result: ['SUCCESS'],
      'repository-name': [{ prefix: `${prefix}/` }],
    },
  };
}
