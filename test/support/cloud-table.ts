import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DeleteTableCommand, type DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { vi } from 'vitest';
import { Jobs } from '../../services/data/jobs.ts';
import { openFilesystemObjects } from '../../services/ports/objects/filesystem.ts';
import { createDynamoClient, createDynamoTable } from '../../services/ports/table/dynamodb.ts';
import type { Table } from '../../services/ports/table/port.ts';
import { type EmulatedAws, makeTable } from './emulated-aws.ts';
import { type StreamFeed, type StreamTarget, startStreamFeed } from './stream-feed.ts';

/** A table of its own in the emulated cloud. */
export interface CloudTable {
  readonly tableName: string;
  readonly client: DynamoDBClient;
  readonly table: Table;
  /** Over that table, with large values in a folder. */
  readonly jobs: Jobs;
  feed(...targets: readonly StreamTarget[]): Promise<StreamFeed>;
  close(): Promise<void>;
}

/** @param now epoch ms */
export async function openCloudTable(aws: EmulatedAws, now?: () => number): Promise<CloudTable> {
  const client = createDynamoClient(aws.client);
  const tableName = `mimeo-${randomUUID()}`;
  await makeTable(client, tableName);
  const table = createDynamoTable({ client, tableName, cursorKey: 'a secret of the test', now });
  const root = await mkdtemp(join(tmpdir(), 'mimeo-cloud-table-'));
  const objects = openFilesystemObjects({ root, baseUrl: () => 'http://127.0.0.1:1', signingKey: 'key' });
  return {
    tableName,
    client,
    table,
    jobs: new Jobs(table, objects),
    feed: (...targets) => startStreamFeed({ client, endpoint: aws.client.endpoint, tableName }, targets),
    async close() {
      // moto copies every table for each transaction.
      await client.send(new DeleteTableCommand({ TableName: tableName }));
      await table.close();
      await rm(root, { recursive: true });
    },
  };
}

/** The environment that a Lambda function finds, for its `main.ts` to be imported after; vitest takes it back. */
export function stubLambdaEnvironment(aws: EmulatedAws, env: Readonly<Record<string, string>>): void {
  const { endpoint, region, credentials } = aws.client;
  const all = {
    AWS_ENDPOINT_URL: endpoint,
    AWS_REGION: region,
    AWS_ACCESS_KEY_ID: credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    MIMEO_LOG_LEVEL: 'silent',
    ...env,
  };
  for (const [name, value] of Object.entries(all)) vi.stubEnv(name, value);
}
