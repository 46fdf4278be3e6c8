import * as aws from '@pulumi/aws';
import type * as pulumi from '@pulumi/pulumi';
import { webhookFilters, type webhooksEnvironment } from '../../services/webhooks/env.ts';
import { Component } from './component.ts';
import { type FunctionContext, measuredLevel, ServiceFunction } from './function.ts';
import type { Grantee } from './grant.ts';
import type { Outputs } from './outputs.ts';
import { reservedConcurrency } from './reserved-concurrency.ts';
import type { Secrets } from './secrets.ts';
import { ServiceQueue } from './service-queue.ts';
import { consumeStream } from './stream-source.ts';
import type { Table } from './table.ts';

/** Seconds of one call: a try takes 10 at most, and those of one call are made at the same time. */
const timeoutSeconds = 60;
/** Lambda asks for six times the function's time. Source: Lambda, "Configuring a queue to use with Lambda". */
const visibilitySeconds = 6 * timeoutSeconds;
/** Tries to handle a message, not to deliver: a receiver that is down is no failure of ours. */
const maxReceiveCount = 5;
/** Calls by the queue at a time, each with up to ten tries: half of what the function has reserved. */
const queueConcurrency = reservedConcurrency.webhooks / 2;

export interface WebhooksArgs extends FunctionContext {
  /** Its stream calls the function, and deliveries lie in it. */
  readonly table: Table;
  /** Files that webhooks name by signed URLs; where changes go that could not be handled. */
  readonly outputs: Outputs;
  readonly secrets: Secrets;
  /** The api's, for the URLs in a prediction. */
  readonly publicUrl: pulumi.Output<string>;
}

/** Makes deliveries of changes, and tries them until they arrive, outside of the network and by a queue of its own. */
export class Webhooks extends Component {
  public readonly function: ServiceFunction<typeof webhooksEnvironment>;
  public readonly queueUrl: pulumi.Output<string>;
  public readonly queueName: pulumi.Output<string>;
  public readonly deadLetterName: pulumi.Output<string>;
  /** Of the event source mapping of the table, for its metrics. */
  public readonly mappingId: pulumi.Output<string>;
  readonly #queue: ServiceQueue;

  constructor(name: string, args: WebhooksArgs, opts?: pulumi.ComponentResourceOptions) {
    super('Webhooks', name, opts);
    const { identity, logs, settings, bundles, table, outputs, secrets, publicUrl } = args;
    this.#queue = new ServiceQueue(
      this.childName('queue'),
      { identity, role: 'webhooks', visibilitySeconds, maxReceiveCount },
      { parent: this },
    );
    const { deadLetterName } = this.#queue;
    if (!deadLetterName) throw new Error('The queue of webhooks has no queue for dead messages');
    this.function = new ServiceFunction(
      this.childName('function'),
      {
        identity,
        logs,
        settings,
        bundles,
        service: 'webhooks',
        description: 'Makes deliveries of webhooks and tries them',
        memoryMb: 256,
        timeoutSeconds,
        environment: {
          MIMEO_TABLE: table.name,
          ...outputs.variables,
          MIMEO_STREAM_KEY: secrets.streamKeyArn,
          MIMEO_PUBLIC_URL: publicUrl,
          MIMEO_WEBHOOK_QUEUE_URL: this.#queue.url,
          MIMEO_LOG_LEVEL: measuredLevel(logs.level),
        },
      },
      { parent: this },
    );
    const { grantee } = this.function;
    table.grant(grantee, ['DeleteItem', 'GetItem', 'PutItem', 'Query']);
    outputs.grantRead(grantee);
    secrets.grantStreamKey(grantee);
    this.#queue.grantSend(grantee);
    const mapping = consumeStream(
      this.childName('stream'),
      { table, outputs, function: this.function, filters: webhookFilters, batchSize: 100, windowSeconds: 0 },
      this.child(),
    );
    new aws.lambda.EventSourceMapping(
      this.childName('tries'),
      {
        eventSourceArn: this.#queue.arn,
        functionName: this.function.functionArn,
        batchSize: 10,
        functionResponseTypes: ['ReportBatchItemFailures'],
        scalingConfig: { maximumConcurrency: queueConcurrency },
      },
      this.child({ dependsOn: [this.#queue.grantConsume(grantee)] }),
    );
    this.queueUrl = this.#queue.url;
    this.queueName = this.#queue.queueName;
    this.deadLetterName = deadLetterName;
    this.mappingId = mapping.uuid;
    this.registerOutputs({ queueUrl: this.queueUrl, queueName: this.queueName, mappingId: this.mappingId });
  }

  /** Lets a role send hints that a delivery is due. */
  grantSend(grantee: Grantee): void {
    this.#queue.grantSend(grantee);
  }
}
