import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { verifyLedger } from '../../services/metering/ledger.ts';
import { Chance } from '../simulation/chance.ts';
import { startCloud, type TestCloud } from '../support/cloud.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import { Client, type Request } from './load.ts';
import { modelProcesses } from './model-processes.ts';
import { CuttableReceiver } from './receiver.ts';

/** The same each time; another one by hand. */
const seed = Number(process.env.FAULT_SEED ?? 1);
/** Fewer than on one machine: an emulated cloud takes its time. */
const kills = Number(process.env.FAULT_CLOUD_KILLS ?? 24);
const clients = 4;
const models = ['noop', 'counter', 'diary', 'file-out'];
const runTimeoutMs = 240_000 + kills * 10_000;
/** A lease that nobody renews, the look for it, what runs then, and the tries of webhooks. */
const settleMs = 300_000;
/** Of what ended later than this a usage record may still be on its way. */
const recordedMs = 6 * 60_000;

interface Seen {
  readonly id: string;
  readonly model: string;
  readonly input: { readonly text?: string; readonly line?: string; readonly n?: number };
  readonly status: string;
  readonly output: unknown;
  readonly code?: string;
  readonly completed_at: string | null;
  readonly cost: { readonly micro_usd: number | null };
}

const lossCodes: readonly string[] = ['instance_lost', 'model_crashed', 'platform_error', 'setup_failed'];
const cancelCodes: readonly string[] = ['canceled', 'aborted'];

describe(`kill -9 of apis, directors and models in the cloud (FAULT_SEED=${seed} FAULT_CLOUD_KILLS=${kills})`, () => {
  let cloud: TestCloud;
  let receiver: CuttableReceiver;
  let folder: string;
  let requests: readonly Request[] = [];
  let ended: readonly Seen[] = [];
  const done = { api: 0, director: 0, model: 0, receiver: 0 };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mimeo-cloud-faults-'));
    receiver = await CuttableReceiver.start();
    cloud = await startCloud();
    for (const name of models) await cloud.push(`test/models/${name}`);
    const target = { url: cloud.url, token: cloud.token, folder, webhooks: receiver.url };
    const load = Array.from({ length: clients }, (_, place) => new Client(target, seed * 1000 + place));
    try {
      await bringAbout();
    } finally {
      await Promise.all(load.map((client) => client.stop()));
    }
    requests = load.flatMap((client) => client.requests);
    ended = await allEnded();
  }, runTimeoutMs + settleMs);

  afterAll(async () => {
    await cloud?.stop();
    await receiver?.close();
    if (folder) await rm(folder, { recursive: true, force: true });
  }, 60_000);

  async function bringAbout(): Promise<void> {
    const chance = new Chance(seed);
    let director: ServiceProcess = cloud.director;
    for (let killed = 0; killed < kills; killed += 1) {
      await pause(200 + chance.below(1500));
      if (killed % 8 === 4) {
        await receiver.cut(chance.happens(0.5) ? 'refuses' : 'fails');
        done.receiver += 1;
      }
      if (killed % 8 === 7) await receiver.restore();
      const share = chance.next();
      if (share < 0.4) {
        const running = cloud.apis.filter(({ isRunning }) => isRunning);
        await running[chance.below(running.length)]?.kill();
        await cloud.startApi();
        cloud.balance(cloud.apis.filter(({ isRunning }) => isRunning));
        done.api += 1;
      } else if (share < 0.6) {
        await director.kill();
        director = await cloud.startDirector();
        done.director += 1;
      } else {
        await killModel(chance);
        done.model += 1;
      }
    }
    await receiver.restore();
  }

  async function killModel(chance: Chance): Promise<void> {
    const victim = chance.next();
    const part = chance.happens(0.3) ? 'worker' : 'server';
    await vi.waitFor(
      () => {
        const pids = modelProcesses(cloud.home, part);
        const pid = pids[Math.floor(victim * pids.length)];
        if (pid === undefined) throw new Error('No model runs yet');
        process.kill(pid, 'SIGKILL');
      },
      { timeout: 60_000, interval: 50 },
    );
  }

  async function list<T>(path: string): Promise<T[]> {
    const found: T[] = [];
    for (let next: string | null = path; next !== null; ) {
      const page: { results: T[]; next: string | null } = await cloud.json('GET', next);
      found.push(...page.results);
      next = page.next;
    }
    return found;
  }

  async function allEnded(): Promise<Seen[]> {
    return await vi.waitFor(
      async () => {
        const found = await list<Seen>('/predictions');
        expect(found.filter(({ completed_at }) => completed_at === null).map(({ id }) => id)).toEqual([]);
        return found;
      },
      { timeout: settleMs, interval: 2000 },
    );
  }

  const byId = (id: string) => ended.find((one) => one.id === id);

  it('was as hard as planned', () => {
    const counts = [...Map.groupBy(ended, ({ status, code }) => code ?? status)]
      .map(([name, group]) => `${group.length} ${name}`)
      .join(', ');
    const accepted = requests.filter(({ ids }) => ids.length > 0).length;
    console.log(
      `FAULT_SEED=${seed}: ${JSON.stringify(done)}; ${requests.length} requests, ${accepted} accepted; ${counts}`,
    );

    expect(done.api + done.director + done.model).toBe(kills);
    expect(accepted).toBeGreaterThan(kills / 4);
  });

  it('loses none that was accepted, makes one for each key, and ends each as it should', () => {
    expect(requests.filter(({ ids }) => ids.some((id) => !byId(id)))).toEqual([]);
    const keyed = requests.filter(({ key, ids }) => key !== undefined && ids.length > 1);
    expect(keyed.filter(({ ids }) => new Set(ids).size > 1)).toEqual([]);
    const wrongEnds = ended.filter(({ status, code = '' }) =>
      status === 'succeeded'
        ? code !== ''
        : !(status === 'canceled' ? cancelCodes : lossCodes).includes(code),
    );
    expect(wrongEnds).toEqual([]);
    const wrongOutputs = ended.filter(({ status, model, input, output }) => {
      if (status !== 'succeeded' || model === 'local/file-out') return false;
      const counted = Array.from({ length: input.n ?? 0 }, (_, at) => at);
      const right = model === 'local/counter' ? counted : (input.text ?? input.line);
      return JSON.stringify(output) !== JSON.stringify(right);
    });
    expect(wrongOutputs).toEqual([]);
    const changed = requests.filter(({ ids, ends }) =>
      [...ends].some((status) => ids.some((id) => byId(id)?.status !== status)),
    );
    expect(changed).toEqual([]);
  });

  it('delivers every `completed`', { timeout: settleMs }, async () => {
    const wanted = requests.filter(({ hasWebhook, ids }) => hasWebhook && ids.length > 0);
    expect(wanted.length).toBeGreaterThan(0);
    await vi.waitFor(
      () => {
        const arrived = new Set(
          receiver.accepted
            .filter(({ headers }) => String(headers['webhook-id']).includes('-completed-'))
            .map(({ path, body }) => `${path} ${JSON.parse(body).id}`),
        );
        const missing = wanted.filter(({ marker, ids }) => !arrived.has(`/${marker} ${ids[0]}`));
        expect(missing.map(({ ids }) => ids[0])).toEqual([]);
      },
      { timeout: settleMs - 10_000, interval: 1000 },
    );
  });

  it('bills each once, and has a ledger that equals the one that is derived anew', {
    timeout: settleMs,
  }, async () => {
    const report = await vi.waitFor(
      async () => {
        const now = () => Date.now() + recordedMs;
        const found = await verifyLedger({ table: cloud.table, accounts: ['local'], now });
        expect(found.differences).toEqual([]);
        return found;
      },
      { timeout: settleMs - 10_000, interval: 2000 },
    );

    expect(report).toMatchObject({ isComplete: true, busy: [], jobs: ended.length, records: ended.length });
  });
});
