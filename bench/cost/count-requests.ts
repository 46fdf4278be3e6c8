import type {
  BatchGetItemCommandInput,
  BatchGetItemCommandOutput,
  GetItemCommandInput,
  GetItemCommandOutput,
  QueryCommandInput,
  QueryCommandOutput,
  TransactWriteItem,
  TransactWriteItemsCommandInput,
} from '@aws-sdk/client-dynamodb';
import { type Attributes, decodeKey, encodeKey } from '../../services/ports/table/dynamodb-items.ts';
import type { IndexName } from '../../services/ports/table/port.ts';
import { entryOf, itemBytes, readUnits, writeUnits } from './capacity.ts';

/** Requests of one kind, and what DynamoDB charges for them. */
export interface Tally {
  readonly requests: number;
  readonly writeUnits: number;
  readonly readUnits: number;
}

/** By `Service Operation` and what it is about, such as `DynamoDB PutItem JOB/INPUT`. */
export type Tallies = Readonly<Record<string, Tally>>;

interface Handled {
  readonly input: object;
}
interface Answered {
  readonly output: object;
}
type Next = (handled: Handled) => Promise<Answered>;

/** A client of the AWS SDK. */
interface Client {
  readonly middlewareStack: {
    add(
      middleware: (next: Next, context: { readonly commandName?: string }) => Next,
      options: { readonly step: 'initialize'; readonly name: string },
    ): void;
  };
}

/**
 * Counts what clients ask AWS for; a signed URL counts as the request that it stands for. All that write to a table must
 * be watched: what a write costs depends on what was there.
 */
export class RequestCount {
  #tallies = new Map<string, Tally>();
  /** Of every table, as they are now. */
  readonly #items = new Map<string, Attributes>();

  watch(service: 'DynamoDB' | 'SQS' | 'S3', client: Client): void {
    client.middlewareStack.add(
      (next, { commandName = '' }) =>
        async (handled) => {
          const operation = commandName.replace(/Command$/, '');
          if (service !== 'DynamoDB') {
            this.#add(`${service} ${operation}`, {});
            return await next(handled);
          }
          const writes = writesOf(operation, handled.input);
          if (writes.length > 0) return await this.#write(operation, writes, () => next(handled));
          const answer = await next(handled);
          this.#read(operation, handled.input, answer.output);
          return answer;
        },
      { step: 'initialize', name: 'countRequests' },
    );
  }

  /** What was counted since the last call. */
  take(): Tallies {
    const taken = Object.fromEntries([...this.#tallies].sort(([a], [b]) => a.localeCompare(b)));
    this.#tallies = new Map();
    return taken;
  }

  async #write(
    operation: string,
    writes: readonly TransactWriteItem[],
    send: () => Promise<Answered>,
  ): Promise<Answered> {
    const changes = writes.map((write) => this.#change(write));
    const isTransaction = operation === 'TransactWriteItems';
    const units = changes.reduce(
      (sum, { before, after }) => sum + writeUnits(before, after, { isTransaction }),
      0,
    );
    const kinds = [...new Set(changes.map(({ key }) => kindOf(key)))].join(' + ');
    try {
      const answer = await send();
      for (const { key, after } of changes) {
        if (after) this.#items.set(textOf(key), after);
        else this.#items.delete(textOf(key));
      }
      this.#add(`DynamoDB ${operation} ${kinds}`, { writeUnits: units });
      return answer;
    } catch (error) {
      this.#add(`DynamoDB ${operation} ${kinds}, refused`, { writeUnits: units });
      throw error;
    }
  }

  #change({ Put, Delete, Update, ConditionCheck }: TransactWriteItem) {
    const key = decodeKey(Put?.Item ?? Delete?.Key ?? Update?.Key ?? ConditionCheck?.Key ?? {});
    const before = this.#items.get(textOf(key));
    if (Put) return { key, before, after: Put.Item };
    if (Delete) return { key, before, after: undefined };
    if (ConditionCheck) return { key, before, after: before };
    // Only counters are updated: a name and a number each.
    const counters = Object.values(Update?.ExpressionAttributeNames ?? {}).map((name) => [
      name,
      { N: '100000' },
    ]);
    return { key, before, after: { ...before, ...encodeKey(key), ...Object.fromEntries(counters) } };
  }

  #read(operation: string, input: object, output: object): void {
    if (operation === 'GetItem') {
      const { Key = {}, ConsistentRead = false } = input as GetItemCommandInput;
      const { Item = {} } = output as GetItemCommandOutput;
      this.#add(`DynamoDB GetItem ${kindOf(decodeKey(Key))}`, {
        readUnits: readUnits(itemBytes(Item), ConsistentRead),
      });
    } else if (operation === 'BatchGetItem') {
      const [request] = Object.values((input as BatchGetItemCommandInput).RequestItems ?? {});
      const keys = (request?.Keys ?? []).map(decodeKey);
      const found = new Map(
        Object.values((output as BatchGetItemCommandOutput).Responses ?? {})
          .flat()
          .map((item) => [textOf(decodeKey(item)), item]),
      );
      // Each is charged by itself.
      const units = keys.map((key) =>
        readUnits(itemBytes(found.get(textOf(key)) ?? {}), request?.ConsistentRead === true),
      );
      const kinds = [...new Set(keys.map(kindOf))].join(' + ');
      this.#add(`DynamoDB BatchGetItem ${kinds}`, { readUnits: units.reduce((sum, one) => sum + one, 0) });
    } else if (operation === 'Query') {
      this.#readQuery(input as QueryCommandInput, output as QueryCommandOutput);
    }
  }

  #readQuery(
    { IndexName: index, ExpressionAttributeValues, ConsistentRead = false }: QueryCommandInput,
    output: QueryCommandOutput,
  ): void {
    const pk = ExpressionAttributeValues?.[':pk']?.S ?? '';
    const bytes = (output.Items ?? []).reduce((sum, item) => {
      const entry = index === undefined ? item : entryOf(item, index as IndexName);
      return sum + itemBytes(entry ?? item);
    }, 0);
    // What is only counted is read all the same: an entry of an index of ours has about 200 bytes.
    const read = output.Items ? bytes : 200 * (output.ScannedCount ?? 0);
    const place = index === undefined ? prefixOf(pk) : `${index} ${prefixOf(pk).replace(/~\d+$/, '')}`;
    this.#add(`DynamoDB Query ${place}`, { readUnits: readUnits(read, ConsistentRead) });
  }

  #add(kind: string, more: Partial<Tally>): void {
    const { requests = 0, writeUnits = 0, readUnits = 0 } = this.#tallies.get(kind) ?? {};
    this.#tallies.set(kind, {
      requests: requests + 1,
      writeUnits: writeUnits + (more.writeUnits ?? 0),
      readUnits: readUnits + (more.readUnits ?? 0),
    });
  }
}

function writesOf(operation: string, input: object): readonly TransactWriteItem[] {
  // Their inputs name the members alike.
  if (operation === 'PutItem') return [{ Put: input as TransactWriteItem['Put'] }];
  if (operation === 'DeleteItem') return [{ Delete: input as TransactWriteItem['Delete'] }];
  if (operation === 'UpdateItem') return [{ Update: input as TransactWriteItem['Update'] }];
  return operation === 'TransactWriteItems'
    ? ((input as TransactWriteItemsCommandInput).TransactItems ?? [])
    : [];
}

function prefixOf(pk: string): string {
  return pk.split('#')[0] ?? pk;
}

function kindOf({ pk, sk }: { readonly pk: string; readonly sk: string }): string {
  return /^[A-Z_]+$/.test(sk) ? `${prefixOf(pk)}/${sk}` : prefixOf(pk);
}

function textOf({ pk, sk }: { readonly pk: string; readonly sk: string }): string {
  return JSON.stringify([pk, sk]);
}
