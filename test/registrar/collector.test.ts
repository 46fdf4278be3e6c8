import { mkdir, readdir, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { Collector, type Uses } from '../../services/registrar/collector.ts';
import { Holds } from '../../services/registrar/holds.ts';
import { packFolder } from '../../services/registrar/pack.ts';
import { SourceRegistrar } from '../../services/registrar/source.ts';
import { temporaryFolder, temporaryHome, testModel } from './registrar-home.ts';

const [one, two] = ['1'.repeat(64), '2'.repeat(64)] as const;
const hour = 3_600_000;
const nothing: Uses = { fateOf: async () => 'deleted', isInUse: async () => false };
const naming = (...ids: string[]): Uses => ({
  ...nothing,
  fateOf: async (id) => (ids.includes(id) ? 'named' : 'deleted'),
});

describe('versions and environments', () => {
  let home: string;
  let holds: Holds;
  let clock: number;
  let collector: Collector;
  beforeEach(async () => {
    home = await temporaryFolder();
    clock = Date.now();
    const now = () => clock;
    holds = new Holds(now);
    // The environment of a version is the one that its file names.
    environments = new Map([
      [one, 'shared'],
      [two, 'shared'],
    ]);
    collector = newCollector();
    for (const id of [one, two]) await fill(join(home, 'versions', id, 'src'));
    for (const name of ['shared', 'other']) await fill(join(home, 'environments', name));
  });

  let environments: Map<string, string>;

  function newCollector(): Collector {
    const environmentOf = async (id: string) => {
      const name = environments.get(id);
      if (name === undefined) throw new Error('There is no such Python');
      return join(home, 'environments', name);
    };
    return new Collector({ home, holds, environmentOf, now: () => clock });
  }

  async function fill(folder: string): Promise<void> {
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, '.complete'), '');
  }

  const names = async (folder: string) => (await readdir(join(home, folder))).sort();

  test('a version goes when no model has it, and the environment that others use stays', async () => {
    expect(await collector.collect(naming(two))).toMatchObject({ versions: [one], environments: [] });

    expect(await names('versions')).toEqual([two]);
    expect(await names('environments')).toEqual(['other', 'shared']);
  });

  test('an environment goes with the last version that uses it, and no other does', async () => {
    await collector.collect(naming(two));

    expect(await collector.collect(nothing)).toMatchObject({ versions: [two], environments: ['shared'] });
    expect(await names('environments')).toEqual(['other']);
    expect(await collector.collect(nothing)).toMatchObject({ versions: [], environments: [] });
  });

  test('what an instance runs from stays until it has ended', async () => {
    const running = { ...nothing, isInUse: async (id: string) => id === one };
    expect(await collector.collect(running)).toMatchObject({ versions: [two], environments: [] });
    expect(await names('versions')).toEqual([one]);

    expect(await collector.collect(nothing)).toMatchObject({ versions: [one], environments: ['shared'] });
  });

  test('what is being built stays, and goes with a later call', async () => {
    const releases = [holds.hold(one, 1000), holds.hold(join(home, 'environments', 'shared'))];
    expect(await collector.collect(nothing)).toMatchObject({ versions: [two], environments: [] });
    for (const release of releases) release();
    expect((await collector.collect(nothing)).versions).toEqual([]);
    clock += 1000;

    expect(await collector.collect(nothing)).toMatchObject({ versions: [one], environments: ['shared'] });
  });

  test('a version that is pushed again just as it goes is kept', async () => {
    let asked = 0;
    const pushedMeanwhile: Uses = {
      ...nothing,
      fateOf: async (id) => (id === two || ++asked > 1 ? 'named' : 'deleted'),
    };

    expect(await collector.collect(pushedMeanwhile)).toMatchObject({ versions: [], environments: [] });
    expect(await names('versions')).toEqual([one, two]);
  });

  test('what another database does not know is kept, and a build that never was on record goes', async () => {
    const another: Uses = { ...nothing, fateOf: async () => 'unknown' };
    await collector.collect(naming(one));
    await fill(join(home, 'versions', two, 'src'));

    expect(await newCollector().collect(another)).toMatchObject({ versions: [two], environments: [] });
    expect(await names('versions')).toEqual([one]);
  });

  test('environments of no version are kept for a day after their last use', async () => {
    const setUsed = async (name: string, at: number) =>
      utimes(join(home, 'environments', name, '.complete'), at / 1000, at / 1000);
    await setUsed('shared', clock - 100 * hour);
    await setUsed('other', clock - 24 * hour + 1);
    const kept = naming(one, two);
    expect(await collector.collect(kept)).toMatchObject({ versions: [], environments: [] });
    clock += hour;

    expect(await collector.collect(kept)).toMatchObject({ versions: [], environments: ['other'] });
    expect(await names('environments')).toEqual(['shared']);
  });

  test('no environment goes while it cannot be told which ones are used', async () => {
    environments.delete(two);
    expect(await collector.collect(naming(two))).toMatchObject({ versions: [one], environments: [] });
    environments.set(two, 'other');

    expect(await collector.collect(naming(two))).toMatchObject({ versions: [], environments: ['shared'] });
  });

  test('environments behind a link are left to those who share them', async () => {
    const shared = join(home, 'environments');
    home = await temporaryFolder();
    await symlink(shared, join(home, 'environments'));
    await fill(join(home, 'versions', one));
    collector = newCollector();
    clock += 100 * hour;

    expect(await collector.collect(nothing)).toMatchObject({ versions: [one], environments: [] });
    expect(await readdir(shared)).toEqual(['other', 'shared']);
  });

  test('what a process that was killed had moved away is removed, what others work with is not', async () => {
    const gone = 2 ** 22 + 1;
    for (const name of [`trash-${gone}-a`, `build-${gone}-b`, `trash-${process.pid}-a`, 'build-1-c'])
      await fill(join(home, 'tmp', name));
    for (const folder of ['versions', 'environments']) await fill(join(home, folder, `trash-${gone}-a`));

    await collector.collect(naming(one, two));

    expect(await names('tmp')).toEqual(['build-1-c']);
    expect(await names('versions')).toEqual([one, two]);
    expect(await names('environments')).toEqual(['other', 'shared']);
  });

  test('a home without anything is none to complain of', async () => {
    home = await temporaryFolder();

    expect(await newCollector().collect(nothing)).toMatchObject({ versions: [], environments: [] });
  });
});

describe('a registrar', () => {
  test('keeps a version until it can be on record, and builds it anew after it went', async () => {
    let clock = Date.now();
    const home = await temporaryHome();
    const registrar = new SourceRegistrar({ home, now: () => clock });
    const build = async () => {
      const { stream } = await packFolder(testModel('noop'));
      return await registrar.build(stream, { onProgress: () => {} });
    };
    const { id } = await build();
    expect((await registrar.collector.collect(nothing)).versions).toEqual([]);
    clock += 60_000;
    expect((await registrar.collector.collect(naming(id))).versions).toEqual([]);
    expect((await registrar.collector.collect(nothing)).versions).toEqual([id]);
    await expect(registrar.launch(id)).rejects.toMatchObject({ code: 'not_found' });

    expect((await build()).id).toBe(id);
    await expect(registrar.launch(id)).resolves.toMatchObject({ cwd: join(home, 'versions', id, 'src') });
  });
});
