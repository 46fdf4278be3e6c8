import * as aws from '@pulumi/aws';
import type * as pulumi from '@pulumi/pulumi';
import type { SweeperEvent, sweeperEnvironment } from '../../services/sweeper/env.ts';
import type { StackConfig } from '../config.ts';
import { Component } from './component.ts';
import { type FunctionContext, measuredLevel, ServiceFunction } from './function.ts';
import { type Grantee, serviceRole } from './grant.ts';
import type { Jobs } from './jobs.ts';
import type { Outputs } from './outputs.ts';
import { ServiceQueue } from './service-queue.ts';
import type { Table } from './table.ts';
import type { Webhooks } from './webhooks.ts';

export interface SweeperArgs extends FunctionContext {
  readonly table: Table;
  readonly jobs: Jobs;
  /** Whose objects it removes when their time is over. */
  readonly outputs: Outputs;
  /** Whose overdue deliveries it reminds of. */
  readonly webhooks: Webhooks;
  /** For how long data is kept. */
  readonly config: Pick<StackConfig, 'api'>;
}

/** Repairs each minute what best effort has missed, and compares the ledger with the jobs each day. */
export class Sweeper extends Component {
  public readonly function: ServiceFunction<typeof sweeperEnvironment>;

  constructor(name: string, args: SweeperArgs, opts?: pulumi.ComponentResourceOptions) {
    super('Sweeper', name, opts);
    const { identity, logs, settings, bundles, table, jobs, outputs, webhooks, config } = args;
    const deadLetter = new ServiceQueue(
      this.childName('dead'),
      { identity, role: 'sweeper-dead' },
      { parent: this },
    );
    this.function = new ServiceFunction(
      this.childName('function'),
      {
        identity,
        logs,
        settings,
        bundles,
        service: 'sweeper',
        description: 'Repairs each minute what best effort has missed; compares the ledger each day',
        memoryMb: 512,
        // For the ledger: a round ends within the minute by itself.
        timeoutSeconds: 300,
        environment: {
          MIMEO_TABLE: table.name,
          MIMEO_QUEUE_PREFIX: jobs.prefix,
          MIMEO_DEAD_LETTER_ARN: jobs.deadLetterArn,
          // It removes objects and signs no URL, so it is not given the key that signs them.
          MIMEO_BUCKET: outputs.variables.MIMEO_BUCKET,
          MIMEO_RETENTION_SECONDS: String(config.api.retentionSeconds),
          MIMEO_WEBHOOK_QUEUE_URL: webhooks.queueUrl,
          MIMEO_LOG_LEVEL: measuredLevel(logs.level),
        },
        // Nothing is tried again: the next round does what one has missed, and is a minute away.
        asynchronous: { retries: 0, maxAgeSeconds: 300, deadLetter },
      },
      { parent: this },
    );
    const { grantee } = this.function;
    table.grant(grantee, ['BatchGetItem', 'ConditionCheckItem', 'DeleteItem', 'GetItem', 'PutItem', 'Query']);
    jobs.grantSweep(grantee);
    outputs.grantRemove(grantee);
    webhooks.grantSend(grantee);

    const caller = serviceRole(this.childName('caller'), 'scheduler.amazonaws.com', this.child());
    deadLetter.grantSend(caller);
    const mayCall = this.function.grantInvoke(caller);
    const calls = { caller, deadLetterArn: deadLetter.arn, mayCall };
    this.#call('each-minute', {}, { ...calls, expression: 'rate(1 minute)', retries: 0, maxAgeSeconds: 60 });
    this.#call(
      'each-day',
      { task: 'ledger' },
      // At night in Europe and America, and not on the hour, when others' are.
      { ...calls, expression: 'cron(17 3 * * ? *)', retries: 5, maxAgeSeconds: 3600 },
    );
    this.registerOutputs({});
  }

  #call(
    role: string,
    event: SweeperEvent,
    schedule: {
      readonly caller: Grantee;
      readonly mayCall: pulumi.Resource;
      readonly deadLetterArn: pulumi.Output<string>;
      /** By EventBridge Scheduler, UTC. */
      readonly expression: string;
      /** Of handing over. */
      readonly retries: number;
      readonly maxAgeSeconds: number;
    },
  ): void {
    new aws.scheduler.Schedule(
      this.childName(role),
      {
        scheduleExpression: schedule.expression,
        flexibleTimeWindow: { mode: 'OFF' },
        target: {
          arn: this.function.functionArn,
          roleArn: schedule.caller.role.arn,
          input: JSON.stringify(event),
          retryPolicy: {
            maximumRetryAttempts: schedule.retries,
            maximumEventAgeInSeconds: schedule.maxAgeSeconds,
          },
          deadLetterConfig: { arn: schedule.deadLetterArn },
        },
      },
      this.child({ dependsOn: [schedule.mayCall] }),
    );
  }
}
