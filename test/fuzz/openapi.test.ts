import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newToken } from '../../services/core/ids.ts';
import { Accounts } from '../../services/data/accounts.ts';
import { openSqliteTable } from '../../services/ports/table/sqlite.ts';
import { type LocalServer, newHome, type TestHome } from '../support/local-server.ts';
import { pythonEnvironment } from '../support/python-environment.ts';

/** Inputs that are tried for each operation and token; `npm run fuzz` makes over 20,000 requests. */
const examples = process.env.FUZZ_EXAMPLES ?? '15';
/** The same each time, so that a change is not refused for what it did not do; `npm run fuzz` takes a new one. */
const seed = process.env.FUZZ_SEED ?? '1';
const runTimeoutMs = 3_600_000;
/** What schemathesis holds each answer to. An input that fits a version's schema only the version knows. */
const checks = [
  'not_a_server_error',
  'status_code_conformance',
  'content_type_conformance',
  'response_headers_conformance',
  'response_schema_conformance',
  'rejects_invalid_data',
  'unsupported_method',
  'use_after_free',
  'hides_other_accounts',
];

/** Is in everything private of account `local`. */
const marker = `only-for-local-${randomUUID()}`;

describe(`a fuzzer that reads /openapi.json (FUZZ_SEED=${seed})`, () => {
  let home: TestHome;
  let server: LocalServer;
  let bin: string;
  let folder: string;
  let known: Record<string, readonly string[]>;
  const stranger = newToken();

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mimeo-fuzz-'));
    bin = await pythonEnvironment('schemathesis==4.32.5');
    home = await newHome();
    const first = await home.start();
    known = await fill(first);
    await first.stop();
    await addStranger();
    server = await home.start();
  });
  afterAll(async () => {
    await home?.remove();
    await rm(folder, { recursive: true, force: true });
  });

  /** Makes a private model and a prediction that carry the marker. */
  async function fill(of: LocalServer): Promise<Record<string, readonly string[]>> {
    const { version } = await of.push('examples/hello-world', 'private');
    const model = { owner: 'local', name: 'marked', visibility: 'private', hardware: 'cpu' };
    await of.json('POST', '/models', { ...model, description: marker });
    const body = { version, input: { text: marker } };
    const { id } = await of.json('POST', '/predictions', body, { prefer: 'wait' });
    return { owner: ['local'], name: ['private', 'marked', 'hello-world'], id: [id, version] };
  }

  async function addStranger(): Promise<void> {
    const table = openSqliteTable({ path: join(home.path, 'mimeo.db') });
    const accounts = new Accounts(table);
    const createdAt = Date.now();
    await accounts.put({
      username: 'stranger',
      type: 'user',
      name: 'Stranger',
      githubUrl: null,
      avatarUrl: null,
      createdAt,
    });
    await accounts.putToken(stranger, {
      id: 'stranger',
      account: 'stranger',
      name: 'fuzz',
      createdAt,
      revokedAt: null,
    });
    await table.close();
  }

  /** The end of what schemathesis says, whose last lines count the requests and the failures. */
  function fuzz(token: string, hidden: string): Promise<{ readonly code: number; readonly said: string }> {
    const args = ['run', `${server.url}/openapi.json`, '--header', `Authorization: Bearer ${token}`];
    args.push('--checks', checks.join(','), '--max-examples', examples, '--seed', seed);
    args.push('--phases', 'coverage,fuzzing', '--continue-on-failure', '--request-timeout', '70');
    const env = {
      ...process.env,
      SCHEMATHESIS_HOOKS: join(import.meta.dirname, 'hooks.py'),
      FUZZ_KNOWN: JSON.stringify(known),
      FUZZ_MARKER: hidden,
      PYTHONDONTWRITEBYTECODE: '1',
    };
    return new Promise((resolve) => {
      const options = { cwd: folder, env, maxBuffer: 64 * 1024 * 1024, timeout: runTimeoutMs };
      execFile(join(bin, 'schemathesis'), args, options, (error, stdout, stderr) => {
        console.log(/^ *\d+ generated.*$/m.exec(stdout)?.[0]?.trim());
        resolve({
          code: typeof error?.code === 'number' ? error.code : error ? 1 : 0,
          said: stdout + stderr,
        });
      });
    });
  }

  it(
    'finds no server error and no answer that is not documented',
    async () => {
      const { code, said } = await fuzz(server.token, '');
      expect(said).toMatch(/\d+ generated, \d+ passed/);
      expect(code, said).toBe(0);
    },
    runTimeoutMs,
  );

  it(
    "reads nothing of another account's, though it would notice",
    async () => {
      const own = await fuzz(server.token, marker);
      expect(own.said).toContain('it shows what belongs to another account');
      const { code, said } = await fuzz(stranger, marker);
      expect(said).toMatch(/\d+ generated, \d+ passed/);
      expect(code, said).toBe(0);
    },
    runTimeoutMs,
  );
});
