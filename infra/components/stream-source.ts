import * as aws from '@pulumi/aws';
import type * as pulumi from '@pulumi/pulumi';
import type { ServiceFunction } from './function.ts';
import type { Outputs } from './outputs.ts';
import type { Table } from './table.ts';

/** Tries of a change that cannot be handled before it is put aside. */
const retries = 10;
/** Seconds: a stream itself keeps changes for no longer than a day. Source: DynamoDB Streams. */
const maxAgeSeconds = 24 * 3600;

export interface StreamSourceArgs {
  readonly table: Table;
  /** Where changes go that could not be handled, whole, so that a person can hand them in again. */
  readonly outputs: Outputs;
  readonly function: ServiceFunction;
  /** Which changes it is called with, as its env.ts says. */
  readonly filters: readonly object[];
  /** Changes of one call at most. */
  readonly batchSize: number;
  /** Seconds that changes may wait for others to be handled with; 0 for none. */
  readonly windowSeconds: number;
}

/**
 * Has Lambda call a function with the changes of the table. A change that cannot be handled is looked for by halving its
 * batch, tried again for a while and then put aside: it holds up the others of its shard for minutes, not for a day.
 *
 * Lambda publishes what became of the changes as metrics of the mapping, billed as custom ones ($0.30 a month each, by
 * the hours in which they are published).
 * @param name logical name
 */
export function consumeStream(
  name: string,
  args: StreamSourceArgs,
  opts: pulumi.CustomResourceOptions,
): aws.lambda.EventSourceMapping {
  const { table, outputs, filters } = args;
  const { grantee, functionArn } = args.function;
  table.grantStream(grantee);
  outputs.grantWriteFailures(grantee);
  return new aws.lambda.EventSourceMapping(
    name,
    {
      eventSourceArn: table.streamArn,
      functionName: functionArn,
      // What was written while the stack was being made counts, too.
      startingPosition: 'TRIM_HORIZON',
      filterCriteria: { filters: filters.map((filter) => ({ pattern: JSON.stringify(filter) })) },
      batchSize: args.batchSize,
      // One call a shard at a time: changes stay in order, and calls are bounded where none are reserved.
      parallelizationFactor: 1,
      maximumBatchingWindowInSeconds: args.windowSeconds,
      functionResponseTypes: ['ReportBatchItemFailures'],
      bisectBatchOnFunctionError: true,
      maximumRetryAttempts: retries,
      maximumRecordAgeInSeconds: maxAgeSeconds,
      destinationConfig: { onFailure: { destinationArn: outputs.failuresArn } },
      metricsConfig: { metrics: ['EventCount'] },
    },
    // Lambda refuses a mapping that the function's role may not read for: the grants come first.
    { ...opts, dependsOn: [table, outputs] },
  );
}
