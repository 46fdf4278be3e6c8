import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '../../..');
let folder: string;

/** Writes down how it is called, and has a stack of nothing. */
const pulumi = `#!/bin/sh
echo "$@" >> "\${0%/*}/calls"
case "$*" in
  *export*) echo '{"deployment": {}}' ;;
esac
`;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mimeo-cli-'));
  for (const file of ['Pulumi.yaml', 'Pulumi.dev.yaml']) await copyFile(join(root, file), join(folder, file));
  await writeFile(join(folder, 'pulumi'), pulumi);
  await chmod(join(folder, 'pulumi'), 0o755);
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** `npm run VERB -- dev …` with nobody behind AWS. @returns how it called Pulumi's own verb */
async function calledBy(verb: string, ...args: readonly string[]): Promise<string | undefined> {
  const words = ['infra/cli/main.ts', verb, 'dev', '--folder', folder, '--force', ...args];
  const child = spawn(process.execPath, words, {
    cwd: root,
    stdio: 'ignore',
    env: {
      ...process.env,
      // No Docker and no AWS CLI: they would be asked, and take their time.
      PATH: [folder, dirname(process.execPath)].join(delimiter),
      AWS_ENDPOINT_URL: 'http://127.0.0.1:9',
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test',
    },
  });
  await once(child, 'close');
  const calls = (await readFile(join(folder, 'calls'), 'utf8')).trim().split('\n');
  return calls.findLast((call) => call.startsWith(`${verb} `));
}

it.each(['up', 'preview'])(
  '%s looks at what there is, so that no group is set to an old size',
  async (verb) => {
    expect(await calledBy(verb)).toMatch(/^\w+ --stack dev .*--refresh$/);
  },
);

it('hands on what was said last, which counts for Pulumi', async () => {
  expect(await calledBy('up', '--refresh=false')).toMatch(/ --refresh --refresh=false$/);
});
