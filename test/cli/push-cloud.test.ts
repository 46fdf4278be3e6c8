import { writeFile } from 'node:fs/promises';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createAdaptorServer } from '@hono/node-server';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createEcrAccess, createEcrLogins } from '../../services/ports/registry/ecr.ts';
import { ImageRegistrar } from '../../services/registrar/app.ts';
import { openRegistry } from '../../services/registrar/registry.ts';
import { openApi, type TestApi } from '../support/api.ts';
import { cogLabels } from '../support/cog-labels.ts';
import { type EmulatedAws, startEmulatedAws } from '../support/emulated-aws.ts';
import { type ImageParts, startRegistry, type TestRegistry } from '../support/registry.ts';
import { mimeo, newFolder, start } from './command.ts';
import { type Programs, programs } from './programs.ts';

const repository = 'mimeo/local/echo';

let aws: EmulatedAws;
let registry: TestRegistry;
let api: TestApi;
let server: Server;
let registrar: ImageRegistrar;
let env: Record<string, string>;

beforeAll(async () => {
  aws = await startEmulatedAws();
  const { password } = await createEcrLogins({ client: aws.client })();
  registry = await startRegistry(password);
  const { url } = registry;
  const roleArn = 'arn:aws:iam::123456789012:role/mimeo-push';
  api = await openApi(undefined, {
    registry: createEcrAccess({ client: aws.client, roleArn, prefix: 'mimeo', url }),
  });
  server = createAdaptorServer({ fetch: api.api.fetch }) as Server;
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  registrar = new ImageRegistrar({
    table: api.table,
    registry: openRegistry(createEcrLogins({ client: aws.client, url })),
    prefix: 'mimeo',
    now: Date.now,
    logger: pino({ level: 'silent' }),
  });
  const { port } = server.address() as AddressInfo;
  env = { MIMEO_URL: `http://127.0.0.1:${port}`, MIMEO_API_TOKEN: api.token };
});
afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await Promise.all([api.close(), registry.close()]);
  await aws.stop();
});

/** What Cog and ECR do once `cog push IMAGE` was called: the image is there, and an event tells of it. */
async function arrive(made: Programs, parts: ImageParts): Promise<void> {
  const taken = () => made.calls().then((calls) => /^cog\[push\]\[(.+):(.+)\]$/m.exec(calls.join('\n')));
  await expect.poll(taken, { timeout: 20_000 }).not.toBeNull();
  const [, name, tag = ''] = (await taken()) ?? [];
  expect(name).toBe(`${registry.host}/${repository}`);
  await registrar.handle({
    repository,
    tag,
    digest: registry.putImage(repository, parts),
    pushedAt: Date.now(),
  });
}

async function pushFolder(made: Programs) {
  const folder = await newFolder();
  await writeFile(join(folder, 'cog.yaml'), 'run: run.py:Runner\n');
  return start(['push', folder, 'local/echo'], { env: { ...env, ...made.env } });
}

it('a folder that is pushed to a server in the cloud becomes a version of its image', async () => {
  const made = await programs();
  const running = await pushFolder(made);
  await arrive(made, { labels: await cogLabels('sleeper') });

  const ended = await running.ended;
  expect(ended.code, ended.stderr).toBe(0);
  const model = await api.models.get('local/echo');
  expect(ended.stderr).toContain('Created the private model local/echo on cpu.');
  expect(ended.stderr).toContain(`New version: local/echo:${model?.latestVersion}`);
  expect(await made.stdin()).not.toBe('');
});

it('the next one says what it breaks, and one without labels why it is refused', async () => {
  const breaking = await programs();
  const first = await pushFolder(breaking);
  await arrive(breaking, { labels: await cogLabels('noop') });
  const plain = await programs();
  const second = await pushFolder(plain);
  await arrive(plain, {});

  expect((await first.ended).stderr).toContain(
    'It breaks callers of the version before it:\n  input `seconds` is gone\n',
  );
  expect(await second.ended).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('The image was refused: It is no image of Cog'),
  });
  const { stdout } = await mimeo(['pushes', 'local/echo'], { env });
  expect(stdout.match(/refused|registered/g)).toEqual(['refused', 'registered', 'registered']);
});
