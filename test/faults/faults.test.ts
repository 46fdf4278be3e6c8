import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { validateWebhook } from 'replicate';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { failureCodes } from '../../services/core/errors.ts';
import { maxAttempts } from '../../services/core/job.ts';
import { AttachedMachine } from '../support/attached-machine.ts';
import { openLedger } from '../support/ledger.ts';
import { newHome, type TestHome } from '../support/local-server.ts';
import { processesIn } from '../support/processes.ts';
import { canMakeSmallDisk, makeSmallDisk, type SmallDisk } from '../support/small-disk.ts';
import { Client, type Request } from './load.ts';
import { planFaults } from './plan.ts';
import { Platform } from './platform.ts';
import { CuttableReceiver } from './receiver.ts';
import { bringAbout, type Done } from './run.ts';

/** The same each time, so that a change is not refused for what it did not do; `npm run faults` takes a new one. */
const seed = Number(process.env.FAULT_SEED ?? 1);
const kills = Number(process.env.FAULT_KILLS ?? 200);
const clients = 5;
const models = ['noop', 'counter', 'diary', 'file-out'];
const attachedModels = ['diary', 'counter'];
const diskMiB = 256;
const env = { MIMEO_MAX_INSTANCES: '3', MIMEO_RETENTION_SECONDS: '0' };
/** A plan of 200 kills takes three to four minutes; what follows them is a lease's time and the repair's. */
const runTimeoutMs = 300_000 + kills * 5000;
/** Three losses and a crash more, and a lease that was undone though its model had begun. */
const mostRuns = maxAttempts + 2;
/** A lease that nobody renews, the look for it, and the backoff of what was not delivered. */
const settleMs = 240_000;

/** A prediction as the list shows it. */
interface Seen {
  readonly id: string;
  readonly model: string;
  readonly input: { readonly text?: string; readonly line?: string; readonly n?: number };
  readonly status: string;
  readonly output: unknown;
  readonly code?: (typeof failureCodes)[number];
  readonly fault?: string;
  readonly completed_at: string | null;
  readonly cost: { readonly billed_seconds: number | null; readonly micro_usd: number | null };
}

/** Codes that these faults may leave behind, beside the cancels of the load itself. */
const lossCodes: readonly string[] = ['instance_lost', 'model_crashed', 'platform_error', 'setup_failed'];
const cancelCodes: readonly string[] = ['canceled', 'aborted'];

describe(`kill -9 at random moments under load (FAULT_SEED=${seed} FAULT_KILLS=${kills})`, () => {
  let disk: SmallDisk | undefined;
  let home: TestHome;
  let folder: string;
  let platform: Platform;
  let receiver: CuttableReceiver;
  let machines: AttachedMachine[] = [];
  let done: Done;
  let requests: Request[];
  let wrong: string[];
  let ended: Seen[];
  let diary: string[];
  let secret: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mimeo-faults-'));
    disk = makeSmallDisk(diskMiB);
    home = await newHome({ parent: disk?.path });
    receiver = await CuttableReceiver.start();
    platform = await Platform.start(home, env);
    const versions = new Map<string, string>();
    for (const name of models)
      versions.set(name, (await platform.server.push(`test/models/${name}`)).version);
    secret = (await platform.server.json('GET', '/webhooks/default/secret')).key;
    machines = attachedModels.map((name) =>
      AttachedMachine.start({
        home: home.path,
        url: platform.url,
        model: `local/${name}`,
        version: versions.get(name) ?? '',
        streams: name === 'counter',
      }),
    );
    await underLoad();
    ended = await allEnded();
    diary = (await readFile(join(folder, 'diary'), 'utf8')).trim().split('\n');
  }, runTimeoutMs);

  afterAll(async () => {
    disk?.free();
    await Promise.all(machines.map((machine) => machine.stop()));
    await home?.remove();
    await receiver?.close();
    disk?.remove();
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  async function underLoad(): Promise<void> {
    const { url, token } = platform;
    const target = { url, token, folder, webhooks: receiver.url };
    const load = Array.from({ length: clients }, (_, place) => new Client(target, seed * 1000 + place));
    try {
      const world = { home: home.path, platform, machines, receiver, disk };
      done = await Promise.race([bringAbout(planFaults(seed, kills), world), platform.collapse]);
    } finally {
      await Promise.all(load.map((client) => client.stop()));
    }
    requests = load.flatMap((client) => client.requests);
    wrong = load.flatMap((client) => client.wrong);
  }

  async function list<T>(path: string): Promise<T[]> {
    const found: T[] = [];
    for (let next: string | null = path; next !== null; ) {
      const page: { results: T[]; next: string | null } = await platform.server.json('GET', next);
      found.push(...page.results);
      next = page.next;
    }
    return found;
  }

  async function allEnded(): Promise<Seen[]> {
    return await vi.waitFor(
      async () => {
        const { results } = await platform.server.json('GET', '/pools');
        const busy = results.filter(
          (pool: { queued: number; running: number }) => pool.queued + pool.running,
        );
        expect(busy).toEqual([]);
        const found = await list<Seen>('/predictions');
        expect(found.filter(({ completed_at }) => completed_at === null)).toEqual([]);
        return found;
      },
      { timeout: settleMs, interval: 1000 },
    );
  }

  function byId(id: string): Seen | undefined {
    return ended.find((one) => one.id === id);
  }

  /** The text by which a request can be told from all others. */
  function markerOf({ input }: Seen): string | undefined {
    return (input.text ?? input.line)?.slice(0, 36);
  }

  it('was as hard as planned', () => {
    const statuses = Map.groupBy(ended, ({ status, code }) => code ?? status);
    const counts = [...statuses].map(([name, group]) => `${group.length} ${name}`).join(', ');
    const accepted = requests.filter(({ ids }) => ids.length > 0).length;
    console.log(
      `FAULT_SEED=${seed}: ${JSON.stringify(done)}; ${requests.length} requests, ${accepted} accepted; ${counts}`,
    );
    const { platform: whole, server, worker, runner } = done;

    expect(whole + server + worker + runner).toBeGreaterThanOrEqual(kills);
    if (kills < 100) return;
    for (const count of [whole, server, worker, runner]) expect(count).toBeGreaterThan(10);
    expect(done.receiver).toBeGreaterThan(3);
    expect(accepted).toBeGreaterThan(kills / 2);
    expect(statuses.get('succeeded')?.length).toBeGreaterThan(ended.length / 2);
  });

  it.skipIf(!canMakeSmallDisk())('cut the disk, too', () => {
    expect(done.disk).toBeGreaterThan(kills < 100 ? 0 : 3);
  });

  it('ended no process that was not killed, and gave no answer that is not documented', () => {
    expect(platform.collapses).toEqual([]);
    expect(wrong).toEqual([]);
  });

  it('loses no prediction that was accepted, and has none that was refused', () => {
    const lost = requests.filter(({ ids }) => ids.some((id) => !byId(id)));
    const markers = new Set(ended.map(markerOf));
    const halfDone = requests.filter(
      ({ ids, refusals, key, marker }) => ids.length === 0 && refusals > 0 && !key && markers.has(marker),
    );

    expect(lost).toEqual([]);
    expect(halfDone).toEqual([]);
    expect(new Set(ended.map(({ id }) => id)).size).toBe(ended.length);
  });

  it('makes one prediction for each idempotency key, however often it was sent', () => {
    const keyed = requests.filter(({ key, ids }) => key !== undefined && ids.length > 0);
    const several = keyed.filter(({ ids }) => new Set(ids).size > 1);
    const byMarker = Map.groupBy(ended, markerOf);
    const twice = requests.filter(({ marker }) => (byMarker.get(marker)?.length ?? 0) > 1);

    expect(keyed.filter(({ ids }) => ids.length > 1).length).toBeGreaterThan(0);
    expect(several).toEqual([]);
    expect(twice).toEqual([]);
  });

  it('ends each as it should: right, canceled, or lost with a reason', () => {
    const wrongEnds = ended.filter(({ status, code = '' }) => {
      if (status === 'succeeded') return code !== '';
      return !(status === 'canceled' ? cancelCodes : lossCodes).includes(code);
    });
    const outputs = ended.filter(({ status, model, input, output }) => {
      if (status !== 'succeeded' || model === 'local/file-out' || model === 'local/hello-world') return false;
      const counted = Array.from({ length: input.n ?? 0 }, (_, at) => at);
      const right = model === 'local/counter' ? counted : (input.text ?? input.line);
      return JSON.stringify(output) !== JSON.stringify(right);
    });
    const changed = requests.filter(({ ids, ends }) =>
      [...ends].some((status) => ids.some((id) => byId(id)?.status !== status)),
    );

    expect(wrongEnds).toEqual([]);
    expect(outputs).toEqual([]);
    expect(changed).toEqual([]);
  });

  it('keeps the file of each prediction that put one out', async () => {
    const files = ended.filter(({ status, model }) => status === 'succeeded' && model === 'local/file-out');
    expect(files.length).toBeGreaterThan(0);
    for (const { output, input } of files) {
      expect(await (await fetch(String(output))).text()).toBe(input.text);
    }
  });

  it('runs none more often than it may be tried, and each that succeeded', () => {
    const runs = Map.groupBy(diary, (line) => line);
    const often = [...runs].filter(([, lines]) => lines.length > mostRuns);
    const neverRan = ended.filter(
      ({ model, status, input }) =>
        model === 'local/diary' && status === 'succeeded' && !runs.has(input.line ?? ''),
    );

    expect(often).toEqual([]);
    expect(neverRan).toEqual([]);
  });

  it('delivers every `completed`, signed, and none of what there is not', { timeout: settleMs }, async () => {
    const wanted = requests.filter(({ hasWebhook, ids }) => hasWebhook && ids.length > 0);
    const accepted = () =>
      receiver.accepted
        .filter(({ headers }) => String(headers['webhook-id']).includes('-completed-'))
        .map(({ path, body }) => ({ path, ...JSON.parse(body) }));
    await vi.waitFor(
      async () => {
        const arrived = new Set(accepted().map(({ path, id }) => `${path} ${id}`));
        const missing = wanted.filter(({ marker, ids }) => !arrived.has(`/${marker} ${ids[0]}`));
        expect(missing).toEqual([]);
        const deliveries = await list<{ event: string; state: string }>('/webhooks/deliveries');
        const left = deliveries.filter(({ event, state }) => event === 'completed' && state !== 'delivered');
        expect(left).toEqual([]);
      },
      { timeout: settleMs - 10_000, interval: 500 },
    );

    expect(wanted.length).toBeGreaterThan(0);
    for (const { headers, body } of receiver.accepted) {
      const given = {
        id: String(headers['webhook-id']),
        timestamp: String(headers['webhook-timestamp']),
        signature: String(headers['webhook-signature']),
      };
      expect(await validateWebhook({ ...given, body, secret })).toBe(true);
    }
    const wrongly = accepted().filter(({ id, status }) => byId(id)?.status !== status);
    expect(wrongly).toEqual([]);
  });

  it('bills each once, nobody for what was lost, and has a ledger that adds up', async () => {
    await Promise.all(machines.map((machine) => machine.stop()));
    await platform.stop();
    expect(processesIn(home.path)).toEqual([]);
    const ledger = openLedger(home.path);
    try {
      const all = async () => (await ledger.records()).length;
      await expect.poll(all, { timeout: 10_000 }).toBe(ended.length);
      const records = await ledger.records();

      const billed = records.map(({ id, status, billedMs, costMicroUsd }) =>
        [id, status, billedMs / 1000, costMicroUsd].join(),
      );
      const shown = ended.map(({ id, status, cost }) =>
        [id, status, cost.billed_seconds, cost.micro_usd].join(),
      );
      expect(billed.sort()).toEqual(shown.sort());
      const free = ended.filter(({ fault, code }) => fault === 'platform' || code === 'aborted');
      expect(free.filter(({ cost }) => cost.micro_usd !== 0)).toEqual([]);
      for (const model of [...models, 'hello-world'].map((name) => `local/${name}`)) {
        expect(await ledger.runCount(model)).toBe(ended.filter((one) => one.model === model).length);
      }
    } finally {
      await ledger.close();
    }
  });

  it('leaves a home on which the next start is as any other', async () => {
    const next = await home.start(env);
    const { id } = await next.json('POST', '/predictions', {
      version: 'local/noop',
      input: { text: 'next' },
    });

    expect(await next.endOf(id)).toMatchObject({ status: 'succeeded', output: 'next' });
    expect(next.stdout()).not.toContain('Taking up');
    expect((await next.stop()).code).toBe(0);
  });
});
