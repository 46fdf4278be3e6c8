import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { RunningPlatform, StartPlatform } from '../support/local-server.ts';
import { checkNamesIn, type PythonReport, runPythonChecks } from '../support/python-checks.ts';
import { pythonBetaClient } from '../support/python-client.ts';
import { expectEveryMethodCalled } from './without-route.ts';

const run = promisify(execFile);
const file = join(import.meta.dirname, 'python2/methods.py');

/** The 2.x line of the Python client against a platform of its own. */
export function describePythonBetaClient(start: StartPlatform): void {
  let server: RunningPlatform;
  let report: PythonReport;

  beforeAll(async () => {
    const made = pythonBetaClient();
    server = await start();
    const versions: Record<string, string> = {};
    for (const name of ['noop', 'counter', 'raises', 'sleeper', 'kitchen-sink', 'file-size'])
      versions[name] = (await server.push(`test/models/${name}`)).version;
    for (const name of ['doomed-sync', 'doomed-async']) await server.push('test/models/noop', name);
    await server.push('examples/stream');
    const example = await server.json(
      'POST',
      '/models/local/counter/predictions',
      { input: { n: 2, delay: 0 } },
      { prefer: 'wait' },
    );
    await server.json('POST', '/models/local/counter/examples', { prediction: example.id });
    report = await runPythonChecks(await made, file, {
      REPLICATE_BASE_URL: `${server.url}/v1`,
      REPLICATE_API_TOKEN: server.token,
      REPLICATE_POLL_INTERVAL: '0.05',
      VERSIONS: JSON.stringify(versions),
    });
  });
  afterAll(async () => server?.stop());

  describe('the Python client 2.x', () => {
    it.each(checkNamesIn(file))('%s', (name) => {
      const ran = report.checks.filter((check) => check.name === name);

      expect(ran.map(({ suite, problem }) => ({ suite, problem }))).toEqual(
        expect.arrayContaining([
          { suite: 'Sync', problem: null },
          { suite: 'Async', problem: null },
        ]),
      );
    });

    it('has every method that has a route here called', async () => {
      const { inventory = { methods: [], called: [] } } = report;

      expect(inventory.called.length).toBeGreaterThan(40);
      // `use` of a client object takes itself for a class and raises; the checks call the module's.
      await expectEveryMethodCalled(server, inventory, ['sync use', 'async use']);
    });

    it('does not repeat what is refused for good', async () => {
      const program = `
import replicate
sent = []
client = replicate.Replicate(
    http_client=replicate.DefaultHttpxClient(event_hooks={"request": [sent.append]})
)
try:
    client.models.create(owner="local", name="noop", visibility="private", hardware="cpu")
except replicate.ConflictError:
    print(len(sent))`;

      const { stdout } = await run(join(await pythonBetaClient(), 'python'), ['-c', program], {
        env: {
          PATH: process.env.PATH,
          REPLICATE_BASE_URL: `${server.url}/v1`,
          REPLICATE_API_TOKEN: server.token,
        },
      });

      expect(stdout).toBe('1\n');
    });

    it('waits as long as a refusal says, and tries again', async () => {
      // Full with 20; one more is let in every 3 seconds.
      const { url, token, stop } = await start({ MIMEO_RATE_REQUESTS: '20' });
      onTestFinished(async () => void (await stop()));
      const program = `
import replicate, time
patient, impatient = replicate.Replicate(max_retries=3), replicate.Replicate(max_retries=0)
try:
    while True: impatient.account.get()
except replicate.RateLimitError as error:
    print(error.response.headers["retry-after"])
began = time.monotonic()
patient.account.get()
print(time.monotonic() - began > 1)`;

      const { stdout } = await run(join(await pythonBetaClient(), 'python'), ['-c', program], {
        env: { PATH: process.env.PATH, REPLICATE_BASE_URL: `${url}/v1`, REPLICATE_API_TOKEN: token },
      });

      expect(stdout).toMatch(/^[123]\nTrue\n$/);
    });
  });
}
