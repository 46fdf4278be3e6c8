import type * as pulumi from '@pulumi/pulumi';
import { type meteringEnvironment, meteringFilters } from '../../services/metering/env.ts';
import { Component } from './component.ts';
import { type FunctionContext, measuredLevel, ServiceFunction } from './function.ts';
import type { Outputs } from './outputs.ts';
import { consumeStream } from './stream-source.ts';
import type { Table } from './table.ts';

export interface MeteringArgs extends FunctionContext {
  /** Its stream calls the function, and the ledger lies in it. */
  readonly table: Table;
  /** Where changes go that could not be metered. */
  readonly outputs: Outputs;
}

/** Turns the ends of jobs into usage records and counters. */
export class Metering extends Component {
  public readonly function: ServiceFunction<typeof meteringEnvironment>;
  /** Of the event source mapping, for its metrics. */
  public readonly mappingId: pulumi.Output<string>;

  constructor(name: string, args: MeteringArgs, opts?: pulumi.ComponentResourceOptions) {
    super('Metering', name, opts);
    const { identity, logs, settings, bundles, table, outputs } = args;
    this.function = new ServiceFunction(
      this.childName('function'),
      {
        identity,
        logs,
        settings,
        bundles,
        service: 'metering',
        description: 'Turns the ends of jobs into usage records and counters',
        memoryMb: 256,
        timeoutSeconds: 60,
        environment: { MIMEO_TABLE: table.name, MIMEO_LOG_LEVEL: measuredLevel(logs.level) },
      },
      { parent: this },
    );
    table.grant(this.function.grantee, ['GetItem', 'PutItem', 'UpdateItem']);
    const mapping = consumeStream(
      this.childName('stream'),
      // The ends of a minute are one write where they can be: counters are written once for all of them.
      {
        table,
        outputs,
        function: this.function,
        filters: meteringFilters,
        batchSize: 100,
        windowSeconds: 60,
      },
      this.child(),
    );
    this.mappingId = mapping.uuid;
    this.registerOutputs({ mappingId: this.mappingId });
  }
}
