import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { CreateTableCommand, type DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { dynamoTableSchema } from '../../services/ports/table/dynamodb-schema.ts';
import { pythonEnvironment } from './python-environment.ts';

/** moto (https://docs.getmoto.org): AWS's own protocols over HTTP, in one process of this machine. */
const pin = 'moto[server]==5.2.5';
const server = join(import.meta.dirname, 'moto_server.py');

export interface EmulatedAws {
  /** What every client of the AWS SDK is given to speak to it. */
  readonly client: {
    readonly endpoint: string;
    readonly region: string;
    readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
  };
  stop(): Promise<void>;
}

/** Starts an empty cloud. */
export async function startEmulatedAws(): Promise<EmulatedAws> {
  const bin = await pythonEnvironment(pin);
  const child = spawn(join(bin, 'python'), [server, '-H', '127.0.0.1', '-p', '0'], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, PYTHONUNBUFFERED: '1' },
  });
  const exited = once(child, 'exit');
  const lines = createInterface({ input: child.stderr });
  const endpoint = await new Promise<string>((resolve, reject) => {
    const said: string[] = [];
    lines.on('line', (line) => {
      said.push(line);
      const found = /Running on (http:\/\/127\.0\.0\.1:\d+)/.exec(line)?.[1];
      if (found) resolve(found);
    });
    child.once('exit', (code) => reject(new Error(`moto ended with ${code}: ${said.join('\n')}`)));
  });
  return {
    client: {
      endpoint,
      region: 'eu-central-1',
      credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
    },
    async stop() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

/** Makes a table as the stack does. */
export async function makeTable(client: DynamoDBClient, TableName: string): Promise<void> {
  await client.send(new CreateTableCommand({ ...dynamoTableSchema, TableName }));
}
