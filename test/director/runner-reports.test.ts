import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { podName } from '../../services/core/kubernetes-names.ts';
import { defaultPolicy } from '../../services/core/scaling.ts';
import { startDirector } from '../../services/director/app.ts';
import { RunnerReports } from '../../services/director/runner-reports.ts';
import type {
  Demand,
  DemandRequest,
  DrainRequest,
  ReceivedReport,
} from '../../services/ports/fleet-protocol/port.ts';
import { aPool, World } from './world.ts';

const pool = aPool('model');
const other = aPool('other');
const hourMs = 3_600_000;

function aReport(over: Partial<ReceivedReport> = {}): ReceivedReport {
  return {
    instance: podName(pool.id, '00000001'),
    pool: pool.id,
    receivedAt: 10 * hourMs,
    phase: 'setup',
    readyAt: null,
    running: 0,
    idleSince: null,
    failure: null,
    broken: null,
    setupLogs: '',
    ...over,
  };
}

describe('reports of runners', () => {
  const now = 20 * hourMs;
  let drains: DrainRequest[];
  let reports: RunnerReports;
  let changes: number;
  beforeEach(() => {
    drains = [];
    changes = 0;
    reports = new RunnerReports({ drain: async (request) => void drains.push(request) }, () => now);
    reports.onChange(() => {
      changes += 1;
    });
  });

  test('are asked for as far back as they are kept, then from a little before the newest', () => {
    expect(reports.after).toBe(now - hourMs);
    reports.take([]);
    expect(reports.after).toBe(now - hourMs);

    reports.take([aReport({ receivedAt: now - 5000 }), aReport({ receivedAt: now - 7000 })]);
    expect(reports.after).toBe(now - 15_000);
  });

  test('are told of once, the last to come in', () => {
    const ready = aReport({ phase: 'ready', receivedAt: 10 * hourMs - 1 });
    reports.take([aReport()]);
    reports.take([aReport()]);
    expect(changes).toBe(1);

    // Taken by an api whose clock is behind.
    reports.take([ready]);
    expect(changes).toBe(2);
    expect(reports.of(ready.instance)).toEqual(ready);
    expect(reports.of('of nobody')).toBeUndefined();
  });

  test("are not taken of a runner that speaks for another pool's instance", () => {
    reports.take([aReport()]);

    reports.take([aReport({ pool: other.id, phase: 'drained' })]);

    expect(changes).toBe(1);
    expect(reports.of(aReport().instance)?.phase).toBe('setup');
  });

  test('are forgotten of an instance that is silent while another is not', () => {
    const alive = podName(pool.id, '00000002');
    reports.take([aReport(), aReport({ instance: alive, receivedAt: 11 * hourMs })]);
    expect(reports.of(aReport().instance)).toBeDefined();

    reports.take([aReport({ instance: alive, receivedAt: 11 * hourMs + 1 })]);

    expect(reports.of(aReport().instance)).toBeUndefined();
    expect(reports.of(alive)).toBeDefined();
  });

  test('pass an order to drain on', async () => {
    const order = { pool: pool.id, instance: aReport().instance, graceSeconds: 30 };

    await reports.drain(order);

    expect(drains).toEqual([order]);
  });
});

describe('a director with reports of runners', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  class Reporting extends World {
    readonly requests: DemandRequest[] = [];
    news: ReceivedReport[] = [];

    override async demand(request: DemandRequest, signal?: AbortSignal): Promise<Demand> {
      this.requests.push(request);
      return { ...(await super.demand(request, signal)), reports: this.news.splice(0) };
    }
  }

  async function runFor(
    ms: number,
    world: Reporting,
    parts: { readonly reports?: RunnerReports },
  ): Promise<void> {
    const director = startDirector({ protocol: world, fleet: world, policy: () => defaultPolicy, ...parts });
    await vi.advanceTimersByTimeAsync(ms);
    await director.close();
    await world.close();
  }

  test('hears of them with the demand', async () => {
    vi.useFakeTimers({ now: 10 * hourMs });
    const world = new Reporting();
    const reports = new RunnerReports(world);
    world.news = [aReport({ phase: 'ready' })];

    await runFor(20_000, world, { reports });

    expect(reports.of(aReport().instance)?.phase).toBe('ready');
    expect(world.requests[0]).toMatchObject({ waitSeconds: 0, reportsAfter: 9 * hourMs });
    expect(world.requests[1]).toMatchObject({ waitSeconds: 5, reportsAfter: 10 * hourMs - 10_000 });
  });

  test('asks for none where its fleet needs none', async () => {
    vi.useFakeTimers();
    const world = new Reporting();

    await runFor(1000, world, {});

    expect(world.requests[0]?.waitSeconds).toBe(0);
    expect(world.requests[0]?.reportsAfter).toBeUndefined();
  });
});
