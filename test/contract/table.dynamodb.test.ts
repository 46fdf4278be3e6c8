import { randomUUID } from 'node:crypto';
import { DeleteTableCommand } from '@aws-sdk/client-dynamodb';
import { afterAll, beforeAll } from 'vitest';
import { createDynamoClient, createDynamoTable } from '../../services/ports/table/dynamodb.ts';
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
