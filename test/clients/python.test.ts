import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LocalServer, newHome, type TestHome } from '../support/local-server.ts';
import { pythonClient } from '../support/python-client.ts';

const folder = join(import.meta.dirname, 'python');
const models = ['noop', 'counter', 'raises', 'sleeper', 'kitchen-sink', 'crashes', 'file-size'];

interface Check {
  readonly name: string;
  /** What went wrong; null where nothing did. */
  readonly problem: string | null;
}

let home: TestHome;
let server: LocalServer;
let bin: string;
const versions: Record<string, string> = {};

beforeAll(async () => {
  const made = pythonClient();
  home = await newHome();
  server = await home.start();
  for (const name of models) versions[name] = (await server.push(`test/models/${name}`)).version;
  // The same content as noop's, which is older and so keeps the bare id.
  await server.push('test/models/noop', 'doomed');
  bin = await made;
});
afterAll(async () => home.remove());

/** Runs a file's checks in one Python process. */
async function runChecks(file: string): Promise<Map<string, Check>> {
  const child = spawn(join(bin, 'python'), [join(folder, 'report.py'), join(folder, file)], {
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      REPLICATE_BASE_URL: server.url,
      REPLICATE_API_TOKEN: server.token,
      REPLICATE_POLL_INTERVAL: '0.05',
      VERSIONS: JSON.stringify(versions),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const checks = new Map<string, Check>();
  const errors = text(child.stderr);
  for await (const line of createInterface({ input: child.stdout })) {
    const check = JSON.parse(line) as Check;
    checks.set(check.name, check);
  }
  if (checks.size === 0) throw new Error(`${file} ran no check:\n${await errors}`);
  return checks;
}

function namesIn(file: string): string[] {
  const source = readFileSync(join(folder, file), 'utf8');
  return [...source.matchAll(/^ {4}(?:async )?def (test_\w+)/gm)].map(([, name]) => String(name));
}

describe.each(['run.py', 'resources.py', 'files.py'])('the Python client: %s', (file) => {
  let checks: Map<string, Check>;
  beforeAll(async () => {
    checks = await runChecks(file);
  });

  it.each(namesIn(file))('%s', (name) => {
    const check = checks.get(name);
    expect(check, 'the check was not run').toBeDefined();
    expect(check?.problem).toBeNull();
  });
});
