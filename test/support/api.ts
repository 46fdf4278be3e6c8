import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pino } from 'pino';
import { type Api, type ApiParts, createApi } from '../../services/api/app.ts';
import type { SourceBuilder } from '../../services/api/routes/versions-push.ts';
import { ProblemError } from '../../services/core/errors.ts';
import { HardwareCatalogue } from '../../services/core/hardware.ts';
import { newToken } from '../../services/core/ids.ts';
import type { Model } from '../../services/core/model.ts';
import type { Version } from '../../services/core/version.ts';

import { Accounts } from '../../services/data/accounts.ts';
import { JobFlow } from '../../services/data/job-flow.ts';
import { Jobs, type JobsOptions } from '../../services/data/jobs.ts';
import { Models } from '../../services/data/models.ts';
import { Pools } from '../../services/data/pools.ts';
import { createMemoryChannel } from '../../services/ports/channel/memory.ts';
import type { Channel } from '../../services/ports/channel/port.ts';
import { createMemoryLimits } from '../../services/ports/limits/memory.ts';
import { openFilesystemObjects } from '../../services/ports/objects/filesystem.ts';
import type { Objects } from '../../services/ports/objects/port.ts';
import type { Queue } from '../../services/ports/queue/port.ts';
import { openSqliteQueue } from '../../services/ports/queue/sqlite.ts';
import type { ChangeFeed, Table } from '../../services/ports/table/port.ts';
import { openSqliteTable } from '../../services/ports/table/sqlite.ts';

/** The api in this process over the local adapters in a folder of its own, with nobody who runs what it is given. */
export interface TestApi {
  /** What it keeps is in here, until it is closed. */
  readonly folder: string;
  readonly api: Api;
  readonly table: Table & ChangeFeed;
  readonly queue: Queue;
  readonly objects: Objects;
  readonly flow: JobFlow;
  readonly pools: Pools;
  readonly models: Models;
  readonly channel: Channel;
  /** A token of account `local`. */
  readonly token: string;
  /** What the api takes for now; moves only when told to. */
  readonly clock: { now: number };
  /** Adds an account and gives a token of it. */
  addAccount(username: string): Promise<string>;
  addModel(
    different: Partial<Model> & { readonly name: string },
    version?: Partial<Version>,
  ): Promise<Version>;
  /** A call of the public API as `local`; a string as body goes as it is, anything else as JSON. */
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Response>;
  close(): Promise<void>;
}

const publicUrl = 'http://127.0.0.1:1';
/** Of every such api. */
export const testSigningKey = Buffer.alloc(32, 7);

/** Builds nothing: what a push does with a folder is the registrar's own tests' concern. */
const noBuilder: SourceBuilder = {
  async build(archive: Readable) {
    for await (const _ of archive);
    throw new ProblemError('invalid_model', 'There is no cog.yaml');
  },
};

export async function openApi(
  builder: SourceBuilder = noBuilder,
  more: Partial<ApiParts> = {},
  jobsOptions: JobsOptions = {},
): Promise<TestApi> {
  const folder = await mkdtemp(join(tmpdir(), 'mimeo-api-'));
  const clock = { now: Date.now() };
  const now = () => clock.now;
  const table = openSqliteTable({ path: join(folder, 'mimeo.db'), now });
  const queue = openSqliteQueue({ path: join(folder, 'queue.db') });
  const channel = createMemoryChannel();
  const signingKey = testSigningKey;
  const objects = openFilesystemObjects({
    root: join(folder, 'objects'),
    baseUrl: () => publicUrl,
    signingKey: signingKey.toString('base64'),
    now,
  });
  const flow = new JobFlow({ jobs: new Jobs(table, objects, { now, ...jobsOptions }), queue, channel });
  const api = await createApi({
    table,
    queue,
    channel,
    flow,
    hardware: new HardwareCatalogue(),
    builder,
    maxSourceBytes: 1000,
    objects,
    maxFileBytes: 1_000_000,
    servedObjects: { objects, signingKey: signingKey.toString('base64') },
    publicUrl: () => publicUrl,
    signingKey,
    now,
    logger: pino({ level: 'silent' }),
    sharedLimits: createMemoryLimits(now),
    ...more,
  });
  const models = new Models(table);
  const accounts = new Accounts(table);

  const addAccount = async (username: string) => {
    const createdAt = clock.now;
    await accounts.put({
      username,
      type: 'user',
      name: username,
      githubUrl: null,
      avatarUrl: null,
      createdAt,
    });
    const secret = newToken();
    await accounts.putToken(secret, {
      id: `token-of-${username}`,
      account: username,
      name: 'test',
      createdAt,
      revokedAt: null,
    });
    return secret;
  };
  const token = await addAccount('local');
  return {
    folder,
    api,
    table,
    queue,
    objects,
    flow,
    pools: new Pools(table),
    models,
    channel,
    token,
    clock,
    addAccount,
    addModel: async (different, version) => addModel(models, clock.now, different, version),
    call: async (method, path, body, headers = {}) =>
      api.app.request(`${publicUrl}${path}`, {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        body: body === undefined || typeof body === 'string' ? body : JSON.stringify(body),
      }),
    async close() {
      await channel.close();
      await queue.close();
      await table.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function addModel(
  models: Models,
  createdAt: number,
  different: Partial<Model> & { readonly name: string },
  version: Partial<Version> = {},
): Promise<Version> {
  const model: Model = {
    owner: different.account ?? 'local',
    account: 'local',
    visibility: 'private',
    hardware: 'cpu',
    description: null,
    githubUrl: null,
    paperUrl: null,
    licenseUrl: null,
    coverImageUrl: null,
    createdAt,
    latestVersion: null,
    ...different,
  };
  const made: Version = {
    id: 'a'.repeat(64),
    model: `${model.owner}/${model.name}`,
    createdAt,
    cogVersion: '0.23.1',
    openapiSchema: schemaWith({ text: { type: 'string' } }),
    concurrency: 1,
    streams: false,
    ...version,
  };
  await models.create(model);
  await models.addVersion(made);
  return made;
}

/** A version's document whose inputs have these schemas. */
export function schemaWith(inputs: Readonly<Record<string, object>>, required: readonly string[] = []) {
  const schemas = {
    Input: { type: 'object', properties: inputs, required },
    Output: { type: 'string' },
  };
  return { components: { schemas } } as unknown as Version['openapiSchema'];
}
