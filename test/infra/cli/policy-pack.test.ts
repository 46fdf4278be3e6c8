import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { policyPackRun } from '../../../infra/cli/policy-pack.ts';

const repository = resolve(import.meta.dirname, '../../..');

/** A folder with a space in its name, a program's files and, on PATH, a pulumi that says how it was called. */
let folder: string;

/** Answers what is asked before the run, and writes the run itself down. */
const pulumi = `#!/bin/sh
case "$*" in
  version) echo v3.259.0 ;;
  whoami*) echo ada ;;
  *'stack export'*) echo '{}' ;;
  *) echo "$*|$NODE_OPTIONS" > called ;;
esac
`;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mimeo policies-'));
  await cp(join(repository, 'test/engine/program'), folder, { recursive: true });
  await mkdir(join(folder, 'policies'));
  await cp(join(repository, 'policies/without-compiler.cjs'), join(folder, 'policies/without-compiler.cjs'));
  await writeFile(join(folder, 'pulumi'), pulumi, { mode: 0o755 });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** `npm run COMMAND -- dev …`. @returns what pulumi was given */
async function called(
  command: string,
  args: readonly string[],
  nodeOptions?: string,
): Promise<{ readonly args: string; readonly nodeOptions: string }> {
  const main = join(repository, 'infra/cli/main.ts');
  // Nobody answers for AWS, which --force goes by.
  const words = [main, command, 'dev', '--folder', folder, '--force', ...args];
  const child = spawn(process.execPath, words, {
    cwd: repository,
    stdio: 'ignore',
    env: {
      PATH: [folder, dirname(process.execPath), process.env.PATH].join(delimiter),
      AWS_ENDPOINT_URL: 'http://127.0.0.1:9',
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test',
      ...(nodeOptions !== undefined && { NODE_OPTIONS: nodeOptions }),
    },
  });
  const [code] = await once(child, 'close');
  expect(code).toBe(0);
  const [said = '', options = ''] = (await readFile(join(folder, 'called'), 'utf8')).trim().split('|');
  return { args: said, nodeOptions: options };
}

it.each(['up', 'preview'])(
  '%s has Pulumi run the policies, without the compiler that is in their way',
  async (verb) => {
    const { args, nodeOptions } = await called(verb, ['--diff']);

    expect(args).toBe(`${verb} --stack dev --policy-pack policies --refresh --diff`);
    expect(nodeOptions).toBe(`--require "${folder}/policies/without-compiler.cjs"`);
  },
);

it('keeps what Node was told already', async () => {
  const { nodeOptions } = await called('preview', [], '--max-old-space-size=4096');

  expect(nodeOptions).toMatch(/^--max-old-space-size=4096 --require ".+\/without-compiler\.cjs"$/);
});

it('changes nothing of the environment without the policies', async () => {
  expect(await called('up', ['--no-policies', '--yes'])).toEqual({
    args: 'up --stack dev --yes --refresh',
    nodeOptions: '',
  });
});

it('runs none where there are none', () => {
  expect(policyPackRun(join(folder, 'elsewhere'), {})).toEqual({ args: [], env: {} });
});

it('is read by Node, whose programs then find no compiler from within Pulumi', async () => {
  const { env } = policyPackRun(folder, {});
  const script = `
    const { createRequire } = require('node:module');
    const { paths: _, ...parent } = module;
    const find = (from) => {
      try { return require('node:module')._resolveFilename('typescript', { ...parent, filename: from, paths: [${JSON.stringify(join(repository, 'node_modules'))}] }); }
      catch (error) { return error.code; }
    };
    console.log(JSON.stringify([find('/x/@pulumi/pulumi/tsutils.js'), find('/x/index.js')]));`;
  const child = spawn(process.execPath, ['--eval', script], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  child.stdout.on('data', (chunk) => {
    said += String(chunk);
  });
  await once(child, 'close');

  expect(JSON.parse(said)).toEqual(['MODULE_NOT_FOUND', expect.stringContaining('typescript')]);
});
