import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Bundle, bundleServices, cloudServices } from '../../build/bundles.ts';

const run = promisify(execFile);
const root = resolve(import.meta.dirname, '../..');

// Outside of the repository: a package that was left out of a bundle is not to be found from here.
let folder: string;
let bundles: readonly Bundle[];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mimeo-build-'));
  bundles = await bundleServices(root, join(folder, 'one'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Runs Node in an environment that has only these variables. */
async function node(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  return await run(process.execPath, args, { env: { ...env }, timeout: 30_000 }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    ({ code, stdout, stderr }: { code: number; stdout: string; stderr: string }) => ({
      code,
      stdout,
      stderr,
    }),
  );
}

/** As Lambda's runtime does: it imports the file, logs what is thrown and ends. */
const loadFunction = `
  import(process.argv[1]).catch((error) => {
    console.error(error.message);
    process.exit(1);
  })`;

it('there is a bundle of every service of the cloud, and none of what runs from the sources', () => {
  const services = bundles.map(({ service }) => service);

  expect(services).toEqual(expect.arrayContaining(['api', 'director', 'registrar', 'runner']));
  expect(services).toEqual(cloudServices(root));
  expect(services).not.toContain('local');
});

it('a bundle lies alone in its folder, which is what a builder of images is sent, readable by all', async () => {
  for (const { service, file } of bundles) {
    expect(await readdir(join(folder, 'one', service)), service).toEqual(['main.mjs']);
    expect((await stat(file)).mode & 0o777, service).toBe(0o644);
  }
});

it('npm run build makes the same bytes anew, wherever it is called, and says how large they are', async () => {
  const { stdout } = await run(process.execPath, [join(root, 'build/main.ts'), join(folder, 'two')], {
    cwd: folder,
  });

  const digests = async (build: string) =>
    await Promise.all(
      bundles.map(async ({ service }) => {
        const bytes = await readFile(join(folder, build, service, 'main.mjs'));
        return `${service} ${createHash('sha256').update(bytes).digest('hex')}`;
      }),
    );
  expect(await digests('two')).toEqual(await digests('one'));
  for (const { service, kind } of bundles)
    expect(stdout).toMatch(
      new RegExp(`^${kind} +two/${service}/main.mjs +\\d+\\.\\d\\d MB, \\d\\.\\d\\d MB gzipped$`, 'm'),
    );
});

it('source maps lie apart, and the code points at none', async () => {
  for (const { service, file } of bundles) {
    expect(existsSync(join(folder, 'one/maps', `${service}.mjs.map`))).toBe(true);
    expect(await readFile(file, 'utf8')).not.toMatch(/^\/\/# sourceMappingURL/m);
  }
});

describe('in an environment that is not right', () => {
  it('each says so in one message, and ends', async () => {
    for (const { service, kind, file } of bundles) {
      const ended = await node(kind === 'function' ? ['-e', loadFunction, file] : [file]);

      expect({ service, code: ended.code, stdout: ended.stdout }).toEqual({ service, code: 1, stdout: '' });
      expect(
        ended.stderr.match(/The environment is not right:\n(?: {2}MIMEO_\w+ is missing\n)+$/g),
        service,
      ).toHaveLength(1);
      expect(ended.stderr, service).not.toMatch(/\n\s+at /);
    }
  });
});

it('the registrar’s function is ready soon after its process has begun', async () => {
  const file = bundles.find(({ service }) => service === 'registrar')?.file ?? '';
  const env = {
    MIMEO_TABLE: 'mimeo',
    MIMEO_REPOSITORY_PREFIX: 'mimeo',
    MIMEO_LOG_LEVEL: 'silent',
    AWS_REGION: 'eu-central-1',
  };
  // The time since the process began, and what it took of the processor, with the first answer.
  const script = `
    import(process.argv[1]).then(async ({ handler }) => {
      const { outcome } = await handler({});
      const { user, system } = process.cpuUsage();
      console.log(JSON.stringify({ outcome, ms: performance.now(), cpuMs: (user + system) / 1000 }));
    })`;
  const starts: { outcome: string; ms: number; cpuMs: number }[] = [];
  for (let start = 0; start < 5; start += 1) {
    const { stdout } = await node(['-e', script, file], env);
    starts.push(JSON.parse(stdout));
  }

  expect(starts.map(({ outcome }) => outcome)).toEqual(Array(5).fill('ignored'));
  const [, , median] = starts.sort((a, b) => a.ms - b.ms);
  console.log(
    `Cold start of the registrar's bundle: ${median?.ms.toFixed(0)} ms, ${median?.cpuMs.toFixed(0)} ms of processor`,
  );
});
