import { randomUUID } from 'node:crypto';
import { DeleteTableCommand, DynamoDBServiceException } from '@aws-sdk/client-dynamodb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDynamoClient, createDynamoTable } from '../../services/ports/table/dynamodb.ts';
import { ConflictError } from '../../services/ports/table/port.ts';
import { type EmulatedAws, makeTable, startEmulatedAws } from '../support/emulated-aws.ts';
import { describeTable } from './table.ts';

let aws: EmulatedAws;

beforeAll(async () => {
  aws = await startEmulatedAws();
});
afterAll(() => aws.stop());

describeTable(
  'DynamoDB',
  async () => {
    const client = createDynamoClient(aws.client);
    const tableName = `mimeo-${randomUUID()}`;
    await makeTable(client, tableName);
    const table = createDynamoTable({ client, tableName, cursorKey: 'a secret of the test' });
    return {
      table,
      async dispose() {
        // moto copies every table for each transaction.
        await client.send(new DeleteTableCommand({ TableName: tableName }));
        await table.close();
      },
    };
  },
  // moto compares as Python does, for which 0 is false.
  { runs: 20, reopens: false, tellsNumbersFromBooleans: false },
);

describe('a table in DynamoDB', () => {
  /** A table whose answer to the first write of each kind is lost on its way. */
  async function withLostAnswers() {
    const client = createDynamoClient(aws.client);
    const tableName = `mimeo-${randomUUID()}`;
    await makeTable(client, tableName);
    const lost = new Set<string>();
    client.middlewareStack.add(
      (next, { commandName = '' }) =>
        async (args) => {
          const answer = await next(args);
          if (lost.has(commandName)) return answer;
          lost.add(commandName);
          throw Object.assign(new Error('socket hang up'), { name: 'TimeoutError', $retryable: {} });
        },
      { step: 'finalizeRequest', priority: 'low' },
    );
    return { table: createDynamoTable({ client, tableName, cursorKey: 'key' }), lost };
  }
  const key = { pk: 'JOB#1', sk: 'JOB' };
  const item = { ...key, data: { status: 'starting' }, keys: { due: undefined } };

  it('takes a write whose answer was lost for its own, and not for a conflict', async () => {
    const { table, lost } = await withLostAnswers();
    await table.write([{ op: 'put', item, when: { absent: true } }]);

    expect(lost).toContain('PutItemCommand');
    await expect(table.write([{ op: 'put', item, when: { absent: true } }])).rejects.toThrow(ConflictError);
    await table.close();
  });

  it('tries a transaction again with the same token and the same words, whatever the time is by then', async () => {
    const client = createDynamoClient({ ...aws.client, maxAttempts: 1 });
    const tableName = `mimeo-${randomUUID()}`;
    await makeTable(client, tableName);
    const bodies: unknown[] = [];
    client.middlewareStack.add(
      (next, { commandName = '' }) =>
        async (args) => {
          if (commandName === 'TransactWriteItemsCommand')
            bodies.push((args.request as { body: unknown }).body);
          if (bodies.length === 1) {
            const fault = { name: 'InternalServerError', $fault: 'server', $metadata: {} } as const;
            throw new DynamoDBServiceException(fault);
          }
          return await next(args);
        },
      { step: 'finalizeRequest', priority: 'low' },
    );
    let nowMs = Date.now();
    const now = () => {
      nowMs += 1000;
      return nowMs;
    };
    const table = createDynamoTable({ client, tableName, cursorKey: 'key', now });
    await table.write([
      { op: 'put', item, when: { absent: true } },
      { op: 'add', key: { ...key, sk: 'RUNS' }, amounts: { runs: 1 } },
    ]);

    // moto counts a repeated token again, which DynamoDB does not.
    expect(bodies).toHaveLength(2);
    expect(bodies[1]).toEqual(bodies[0]);
    await table.close();
  });
});
