import { pino } from 'pino';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Accounts } from '../../services/data/accounts.ts';
import { Models } from '../../services/data/models.ts';
import { Pushes } from '../../services/data/pushes.ts';
import type { RegistryLogin } from '../../services/ports/registry/port.ts';
import { openSqliteTable } from '../../services/ports/table/sqlite.ts';
import { ImageRegistrar, type PushedImage } from '../../services/registrar/app.ts';
import { openRegistry } from '../../services/registrar/registry.ts';
import { cogLabels } from '../support/cog-labels.ts';
import { startRegistry, type TestRegistry } from '../support/registry.ts';

const repository = 'mimeo/ada/echo';
const dockerList = 'application/vnd.docker.distribution.manifest.list.v2+json';

let labels: Record<string, string>;
let registry: TestRegistry;
let models: Models;
let pushes: Pushes;
let registrar: ImageRegistrar;
let closeTable: () => Promise<void>;
/** What the registrar is given at its next logins; at the end, what is good. */
let logins: RegistryLogin[];

beforeAll(async () => {
  labels = await cogLabels('kitchen-sink', { build: { gpu: true }, concurrency: { max: 4 } });
});
beforeEach(async () => {
  registry = await startRegistry();
  const table = openSqliteTable({ path: ':memory:' });
  closeTable = () => table.close();
  models = new Models(table);
  pushes = new Pushes(table);
  const account = { username: 'ada', type: 'user', name: 'Ada', githubUrl: null, avatarUrl: null } as const;
  await new Accounts(table).put({ ...account, createdAt: 0 });
  logins = [{ ...registry.login, url: registry.url, expiresAt: Number.POSITIVE_INFINITY }];
  registrar = new ImageRegistrar({
    table,
    registry: openRegistry(async (refused) => {
      if (refused && refused === logins[0] && logins.length > 1) logins.shift();
      const [login] = logins;
      if (!login) throw new Error('There is no login');
      return login;
    }),
    prefix: 'mimeo',
    now: Date.now,
    logger: pino({ level: 'silent' }),
  });
});
afterEach(async () => {
  await registry.close();
  await closeTable();
});

const push = (digest: string, more: Partial<PushedImage> = {}) =>
  registrar.handle({ repository, digest, tag: 'latest', pushedAt: Date.now(), ...more });
/** What is no password any more. */
const past = { username: 'AWS', password: 'of yesterday' };
const idOf = (digest: string) => digest.slice('sha256:'.length);
const pushesOf = async (model = 'ada/echo') => (await pushes.list(model, { limit: 10 })).items;

describe('an image of Cog’s becomes a version', () => {
  it.each(['oci', 'docker'] as const)('in the form of %s', async (form) => {
    const digest = registry.putImage(repository, { labels, form });

    expect(await push(digest)).toEqual({
      outcome: 'registered',
      model: 'ada/echo',
      version: idOf(digest),
      created: true,
    });
    expect(await models.getVersion('ada/echo', idOf(digest))).toMatchObject({
      image: `${registry.host}/${repository}@${digest}`,
      openapiSchema: JSON.parse(labels['run.cog.openapi_schema'] ?? ''),
      cogVersion: labels['run.cog.version'],
      concurrency: 4,
    });
    // Its owner had not made the model; the image says that it needs a GPU.
    expect(await models.get('ada/echo')).toMatchObject({
      account: 'ada',
      visibility: 'private',
      hardware: 'gpu-t4',
      latestVersion: idOf(digest),
    });
    expect(await pushesOf()).toMatchObject([{ digest, tag: 'latest', version: idOf(digest), reason: null }]);
  });

  it.each([undefined, dockerList])(
    'out of an index (%s), among other platforms and artefacts',
    async (form) => {
      const digest = registry.putImage(repository, { labels });
      const other = registry.putImage(repository, { labels, platform: 'linux/arm64' });
      const index = registry.putIndex(
        repository,
        [
          { digest: other, platform: { os: 'linux', architecture: 'arm64' } },
          {
            digest: `sha256:${'1'.repeat(64)}`,
            platform: { os: 'unknown', architecture: 'unknown' },
            annotations: { 'vnd.docker.reference.type': 'attestation-manifest' },
          },
          {
            digest: `sha256:${'2'.repeat(64)}`,
            platform: { os: 'linux', architecture: 'amd64' },
            artifactType: 'application/vnd.amazon.soci.index.v2+json',
          },
          { digest, platform: { os: 'linux', architecture: 'amd64' } },
        ],
        form,
      );

      expect(await push(index)).toMatchObject({ outcome: 'registered', version: idOf(digest) });
      expect(await pushesOf()).toMatchObject([{ digest: index, version: idOf(digest) }]);
    },
  );

  it('once, however often and by whichever way it is told of', async () => {
    const digest = registry.putImage(repository, { labels });
    const index = registry.putIndex(repository, [
      { digest, platform: { os: 'linux', architecture: 'amd64' } },
    ]);
    const pushedAt = Date.now();

    const first = await push(digest, { tag: null, pushedAt });
    const again = await Promise.all([
      push(index, { pushedAt }),
      push(index, { pushedAt }),
      push(digest, { tag: null, pushedAt }),
    ]);

    expect(first).toMatchObject({ created: true });
    expect(again.map((one) => one.outcome === 'registered' && one.created)).toEqual([false, false, false]);
    expect((await models.listVersions('ada/echo', { limit: 10 })).items).toHaveLength(1);
    expect(await pushesOf()).toHaveLength(2);
  });

  it('with what it breaks of the one before', async () => {
    await push(registry.putImage(repository, { labels: await cogLabels('sleeper') }));
    const digest = registry.putImage(repository, { labels: await cogLabels('noop') });
    await push(digest);

    const version = await models.getVersion('ada/echo', idOf(digest));
    expect(version?.breakingChanges).toContain('input `seconds` is gone');
  });

  it('that is not the latest where the news of a later push came first', async () => {
    const later = registry.putImage(repository, { labels: await cogLabels('noop') });
    const earlier = registry.putImage(repository, { labels: await cogLabels('sleeper') });
    await push(later, { pushedAt: 2000 });
    await push(earlier, { pushedAt: 1000 });

    expect((await models.get('ada/echo'))?.latestVersion).toBe(idOf(later));
    const { items } = await models.listVersions('ada/echo', { limit: 10 });
    expect(items.map(({ id }) => id)).toEqual([idOf(later), idOf(earlier)]);
    expect(items.map(({ breakingChanges }) => breakingChanges)).toEqual([undefined, undefined]);
  });

  it('of a model as its owner made it', async () => {
    const model = {
      owner: 'ada',
      name: 'echo',
      account: 'ada',
      visibility: 'public',
      hardware: 'gpu-h100',
      description: 'mine',
      githubUrl: null,
      paperUrl: null,
      licenseUrl: null,
      coverImageUrl: null,
      createdAt: 0,
      latestVersion: null,
    } as const;
    await models.create(model);
    const digest = registry.putImage(repository, { labels });
    await push(digest);

    expect(await models.get('ada/echo')).toMatchObject({ ...model, latestVersion: idOf(digest) });
  });
});

describe('an image that cannot be one is refused with a reason that its owner finds', () => {
  const without = (name: string) =>
    Object.fromEntries(Object.entries(labels).filter(([label]) => label !== name));

  it.each<[string, () => string, string]>([
    ['no labels', () => registry.putImage(repository), 'It is no image of Cog'],
    [
      'one label less',
      () => registry.putImage(repository, { labels: without('run.cog.config') }),
      'it has no label run.cog.config',
    ],
    [
      'another platform',
      () => registry.putImage(repository, { labels, platform: 'linux/arm64' }),
      'It is for linux/arm64 and models run on linux/amd64',
    ],
    [
      'an index without ours',
      () =>
        registry.putIndex(repository, [
          { digest: `sha256:${'1'.repeat(64)}`, platform: { os: 'linux', architecture: 'arm64' } },
        ]),
      'It is for linux/arm64',
    ],
    [
      'a schema that is no JSON',
      () => registry.putImage(repository, { labels: { ...labels, 'run.cog.openapi_schema': '{' } }),
      'run.cog.openapi_schema is not JSON',
    ],
    [
      'a schema without inputs',
      () =>
        registry.putImage(repository, {
          labels: { ...labels, 'run.cog.openapi_schema': '{"components":{}}' },
        }),
      'run.cog.openapi_schema is not as Cog writes it',
    ],
    [
      'a schema of a million levels',
      () =>
        registry.putImage(repository, {
          labels: {
            ...labels,
            'run.cog.openapi_schema': `{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`,
          },
        }),
      'run.cog.openapi_schema is not as Cog writes it',
    ],
    [
      'a schema that is too large to be kept',
      () =>
        registry.putImage(repository, {
          labels: { ...labels, 'run.cog.openapi_schema': `{"a":"${'x'.repeat(300_000)}"}` },
        }),
      'has 300008 bytes; at most 262144 are kept',
    ],
    [
      'a schema of 3 KB that takes for ever',
      () => {
        let nest: object = {};
        for (let level = 0; level < 28; level += 1) {
          const properties = { x: { type: 'string' } };
          nest = { anyOf: [nest, { minimum: level }], properties, unevaluatedProperties: false };
        }
        const schemas = { Input: { type: 'object', properties: { a: nest } } };
        const schema = JSON.stringify({ components: { schemas } });
        return registry.putImage(repository, { labels: { ...labels, 'run.cog.openapi_schema': schema } });
      },
      'takes too long to be read',
    ],
    [
      'a broken pattern',
      () => {
        const schemas = { Input: { type: 'object', properties: { a: { type: 'string', pattern: '(' } } } };
        const schema = JSON.stringify({ components: { schemas } });
        return registry.putImage(repository, { labels: { ...labels, 'run.cog.openapi_schema': schema } });
      },
      'Its inputs cannot be checked',
    ],
    [
      'a config of more than 4 MiB',
      () => registry.putImage(repository, { labels: { ...labels, more: 'x'.repeat(5 * 1024 * 1024) } }),
      'Its description has more than 4194304 bytes',
    ],
    [
      'a need of GPU memory that is no number',
      () => registry.putImage(repository, { labels: { ...labels, 'dev.mimeo.gpu-memory-gb': '24GB' } }),
      'Its label dev.mimeo.gpu-memory-gb is "24GB"; write gigabytes, such as 24.',
    ],
    [
      'a manifest of version 1',
      () =>
        registry.putManifest(repository, {
          schemaVersion: 1,
          mediaType: 'application/vnd.oci.image.manifest.v1+json',
        }),
      'Its manifest is none that Mimeo reads',
    ],
  ])('%s', async (_what, put, reason) => {
    const digest = put();

    expect(await push(digest)).toMatchObject({ outcome: 'refused', reason: expect.stringContaining(reason) });
    expect(await pushesOf()).toMatchObject([
      { digest, version: null, reason: expect.stringContaining(reason) },
    ]);
    expect(await models.get('ada/echo')).toBeUndefined();
  });

  it('an owner that there is not', async () => {
    const theirs = 'mimeo/nobody/echo';
    const outcome = await push(registry.putImage(theirs, { labels }), { repository: theirs });

    expect(outcome).toMatchObject({
      outcome: 'refused',
      reason: expect.stringContaining('no account nobody'),
    });
    expect(await models.get('nobody/echo')).toBeUndefined();
  });
});

describe('an image that states the GPU memory it needs', () => {
  const needing = (gigabytes: string) =>
    registry.putImage(repository, { labels: { ...labels, 'dev.mimeo.gpu-memory-gb': gigabytes } });

  it('becomes a version that says so, of a model on the first hardware that holds it', async () => {
    const outcome = await push(needing('40'));

    expect(outcome).toMatchObject({ outcome: 'registered' });
    const model = await models.get('ada/echo');
    expect(model?.hardware).toBe('gpu-a40-small');
    expect((await models.getVersion('ada/echo', model?.latestVersion ?? ''))?.gpuMemoryGb).toBe(40);
  });

  it('is refused where the model’s hardware cannot hold it', async () => {
    await push(registry.putImage(repository, { labels }));

    expect(await push(needing('24'))).toMatchObject({
      outcome: 'refused',
      reason: expect.stringMatching(/^ada\/echo runs on gpu-t4, which cannot hold it\. It needs 24 GB/),
    });
  });
});

describe('what is no model’s image is left alone', () => {
  it.each<[string, () => [string, Partial<PushedImage>]]>([
    [
      'another repository',
      () => [registry.putImage('tools/ada/echo', { labels }), { repository: 'tools/ada/echo' }],
    ],
    [
      'a repository below a model’s',
      () => [registry.putImage(`${repository}/cache`, { labels }), { repository: `${repository}/cache` }],
    ],
    [
      'a part of an index',
      () => [registry.putImage(repository, { labels, platform: 'linux/arm64' }), { tag: null }],
    ],
    [
      'an attestation',
      () => [
        registry.putImage(repository, {
          platform: 'unknown/unknown',
          manifest: { layers: [{ mediaType: 'application/vnd.in-toto+json' }] },
        }),
        { tag: null },
      ],
    ],
    [
      'a SOCI index',
      () => [
        registry.putImage(repository, {
          manifest: { artifactType: 'application/vnd.amazon.soci.index.v1+json' },
        }),
        {},
      ],
    ],
    [
      'a signature of an image',
      () => [registry.putImage(repository, { labels, manifest: { subject: { digest: 'sha256:1' } } }), {}],
    ],
    [
      'a chart',
      () => [
        registry.putImage(repository, {
          manifest: {
            config: {
              mediaType: 'application/vnd.cncf.helm.config.v1+json',
              digest: `sha256:${'1'.repeat(64)}`,
            },
          },
        }),
        {},
      ],
    ],
  ])('%s', async (_what, put) => {
    const [digest, more] = put();

    expect(await push(digest, more)).toEqual({ outcome: 'ignored' });
    expect(await pushesOf()).toEqual([]);
    expect(await models.get('ada/echo')).toBeUndefined();
  });
});

describe('a registry that does not answer as it should is asked again', () => {
  it('where it does not have the image yet', async () => {
    await expect(push(`sha256:${'f'.repeat(64)}`)).rejects.toThrow('The registry answered 404');
  });

  it('at once, by a new login, where it refuses the one that was kept', async () => {
    const digest = registry.putImage(repository, { labels });
    const [good] = logins;
    logins.unshift({ url: registry.url, expiresAt: Number.POSITIVE_INFINITY, ...past });

    expect(await push(digest)).toMatchObject({ outcome: 'registered' });
    expect(logins).toEqual([good]);
  });

  it('where it refuses a new login too', async () => {
    const digest = registry.putImage(repository, { labels });
    logins = logins.map((login) => ({ ...login, ...past }));

    await expect(push(digest)).rejects.toThrow('The registry answered 401');
    expect(registry.requests).toHaveLength(2);
  });

  it('where what it sends is not what was asked for', async () => {
    const digest = registry.putImage(repository, { labels });
    registry.replace(digest, JSON.stringify({ mediaType: 'application/vnd.oci.image.manifest.v1+json' }));

    await expect(push(digest)).rejects.toThrow('The registry sent sha256:');
    expect(await pushesOf()).toEqual([]);
  });
});
