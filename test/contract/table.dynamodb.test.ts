import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll } from 'vitest';
import { createDynamoClient, createDynamoTable } from '../../services/ports/table/dynamodb.ts';
import { type EmulatedAws, makeTable, startEmulatedAws } from '../support/emulated-aws.ts';
import { describeTable } from './table.ts';

let aws: EmulatedAws;
const tableName = `mimeo-${randomUUID()}`;

beforeAll(async () => {
  aws = await startEmulatedAws();
  const client = createDynamoClient(aws.client);
  await makeTable(client, tableName);
  client.destroy();
});
afterAll(() => aws.stop());

describeTable(
  'DynamoDB',
  async () => {
    const table = createDynamoTable({
      client: createDynamoClient(aws.client),
      tableName,
      cursorKey: 'a secret of the test',
    });
    return { table, dispose: () => table.close() };
  },
  // moto compares as Python does, for which 0 is false.
  { runs: 20, reopens: false, tellsNumbersFromBooleans: false },
);
