import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunningPlatform, StartPlatform } from '../support/local-server.ts';
import { type Check, checkNamesIn, type Inventory, runPythonChecks } from '../support/python-checks.ts';
import { pythonClient } from '../support/python-client.ts';
import { expectEveryMethodCalled } from './without-route.ts';

const folder = join(import.meta.dirname, 'python');
const models = ['noop', 'counter', 'raises', 'sleeper', 'kitchen-sink', 'crashes', 'file-size'];

const allFiles = ['run.py', 'resources.py', 'files.py', 'asynchronous.py'];

/**
 * The 1.x line of the Python client against a platform of its own.
 * @param files some of the suite's, where the platform is not made for all, such as webhooks to this machine
 */
export function describePythonClient(start: StartPlatform, files = allFiles): void {
  let server: RunningPlatform;
  let bin: string;
  const versions: Record<string, string> = {};
  const inventories: (Inventory | undefined)[] = [];

  beforeAll(async () => {
    const made = pythonClient();
    server = await start();
    for (const name of models) versions[name] = (await server.push(`test/models/${name}`)).version;
    // The same content as noop's, which is older and so keeps the bare id.
    for (const name of ['doomed', 'doomed-later']) await server.push('test/models/noop', name);
    bin = await made;
  });
  afterAll(async () => server?.stop());

  describe.each(files)('the Python client: %s', (file) => {
    let checks: readonly Check[];
    beforeAll(async () => {
      const report = await runPythonChecks(bin, join(folder, file), {
        REPLICATE_BASE_URL: server.url,
        REPLICATE_API_TOKEN: server.token,
        REPLICATE_POLL_INTERVAL: '0.05',
        VERSIONS: JSON.stringify(versions),
      });
      checks = report.checks;
      inventories.push(report.inventory);
    });

    it.each(checkNamesIn(join(folder, file)))('%s', (name) => {
      const check = checks.find((one) => one.name === name);
      expect(check, 'the check was not run').toBeDefined();
      expect(check?.problem).toBeNull();
    });
  });

  if (files.length < allFiles.length) return;
  it('the Python client has every method that has a route here called', async () => {
    const methods = new Set(inventories.flatMap((one) => one?.methods ?? []));
    const called = new Set(inventories.flatMap((one) => one?.called ?? []));

    expect(called.size).toBeGreaterThan(40);
    // `predict` was taken out: it only raises.
    await expectEveryMethodCalled(server, { methods: [...methods], called: [...called] }, ['Model.predict']);
  });
}
