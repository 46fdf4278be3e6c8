import { join, resolve } from 'node:path';
import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { StackConfig } from '../../../infra/config.ts';
import { push } from '../../../services/api/routes/versions-push.ts';
import { Accounts } from '../../../services/data/accounts.ts';
import { Models } from '../../../services/data/models.ts';
import { createDynamoTable } from '../../../services/ports/table/dynamodb.ts';
import type { Table } from '../../../services/ports/table/port.ts';
import { packFolder } from '../../../services/registrar/pack.ts';
import { SourceRegistrar } from '../../../services/registrar/source.ts';
import { freshModel, makeAccount } from '../cloud.ts';
import { callsOf, type RunningPlatform } from '../local-server.ts';
import { declaredApi } from './recorded-env.ts';
import { type Box, startBox } from './stack-in-a-box.ts';

const repository = resolve(import.meta.dirname, '../../..');

/** A box as the clients' suites want a platform: with account `local`, its token and a way to push models. */
export interface BoxPlatform extends RunningPlatform {
  readonly box: Box;
  /** Of account `admin`, as the api made it when it first started. */
  readonly firstToken: string;
  readonly table: Table;
}

/** Starts a box. Whoever was given its first token makes the account that the suites use. */
export async function startBoxPlatform(config: StackConfig, bundles: string): Promise<BoxPlatform> {
  const box = await startBox(config, bundles);
  try {
    return await openPlatform(box);
  } catch (error) {
    await box.close();
    throw error;
  }
}

async function openPlatform(box: Box): Promise<BoxPlatform> {
  const { aws, place, recording, clients, url } = box;
  const secrets = new SecretsManagerClient({ ...aws.client, region: place.region });
  const read = async (SecretId: string) => {
    const { SecretString = '' } = await secrets.send(new GetSecretValueCommand({ SecretId }));
    return SecretString;
  };
  const { MIMEO_FIRST_TOKEN_SECRET_ARN, MIMEO_SIGNING_KEY } = declaredApi(recording.resources).env;
  const firstToken = await read(MIMEO_FIRST_TOKEN_SECRET_ARN ?? '');
  const cursorKey = Buffer.from(await read(MIMEO_SIGNING_KEY ?? ''), 'base64');
  secrets.destroy();
  const tableName = recording.result.table;
  const table = createDynamoTable({ client: clients.dynamo, tableName, cursorKey });
  const registrar = new SourceRegistrar({ home: box.home });
  const models = new Models(table);
  const token = await makeAccount(new Accounts(table), 'local');
  const platform: BoxPlatform = {
    ...callsOf({ url, token }),
    box,
    table,
    firstToken,
    url,
    token,
    push: async (folder, name = folder.split('/').at(-1)) => {
      const model = `local/${name}`;
      await models.create(freshModel(String(name))).catch(() => undefined);
      const { stream } = await packFolder(join(repository, folder));
      const { version } = await push({ builder: registrar, models, now: Date.now }, model, stream, () => {});
      return { model, version: version.id };
    },
    stop: async () => {
      await table.close();
      await box.close();
    },
  };
  await platform.push('examples/hello-world');
  return platform;
}
