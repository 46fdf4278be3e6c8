import { expect, it } from 'vitest';
import { withRunnerReports } from '../../services/director/runner-reports.ts';
import type {
  Demand,
  DemandRequest,
  DirectorProtocol,
  DrainRequest,
  ReceivedReport,
} from '../../services/ports/fleet-protocol/port.ts';

function report(instance: string, receivedAt: number, running = 0): ReceivedReport {
  return {
    instance,
    pool: 'p',
    phase: 'ready',
    readyAt: 1,
    running,
    idleSince: null,
    failure: null,
    setupLogs: '',
    broken: null,
    receivedAt,
  };
}

/** A control plane that answers as it is told, one answer after the other. */
function open(answers: readonly (readonly ReceivedReport[] | undefined)[]) {
  const asked: DemandRequest[] = [];
  const drained: DrainRequest[] = [];
  const left = [...answers];
  const control: DirectorProtocol = {
    async demand(request): Promise<Demand> {
      asked.push(request);
      const reports = left.shift();
      return { pools: [], ...(reports ? { reports: [...reports] } : {}) };
    },
    reportPool: async () => {},
    refuse: async () => {},
    drain: async (order) => void drained.push(order),
  };
  return { asked, drained, ...withRunnerReports(control) };
}

it('what runners said comes with the answers on demand, each newest once', async () => {
  const early = report('i-1', 1_000_000);
  const late = report('i-1', 1_050_000, 1);
  const { protocol, reports, asked } = open([[early, report('i-2', 1_000_500)], [late, early], undefined]);
  let told = 0;
  const stop = reports.onChange(() => told++);

  await protocol.demand({ waitSeconds: 0 });
  expect(reports.of('i-1')).toEqual(early);
  await protocol.demand({ waitSeconds: 5 });
  await protocol.demand({ waitSeconds: 5 });

  expect(reports.of('i-1')).toEqual(late);
  expect(reports.of('i-2')?.receivedAt).toBe(1_000_500);
  expect(reports.of('i-3')).toBeUndefined();
  expect(told).toBe(2);
  // All at first; then what is new, and some of before, since clocks differ.
  expect(asked).toEqual([
    { waitSeconds: 0, reportsAfter: 0 },
    { waitSeconds: 5, reportsAfter: 970_500 },
    { waitSeconds: 5, reportsAfter: 1_020_000 },
  ]);
  stop();
  await protocol.demand({ waitSeconds: 5 });
  expect(told).toBe(2);
});

it('what was not repeated for hours is forgotten', async () => {
  const hours = 3 * 3_600_000;
  const { protocol, reports } = open([[report('i-1', 1000)], [report('i-2', 1000 + hours)]]);

  await protocol.demand({ waitSeconds: 0 });
  await protocol.demand({ waitSeconds: 0 });

  expect(reports.of('i-1')).toBeUndefined();
  expect(reports.of('i-2')).toBeDefined();
});

it('orders to drain go to the control plane', async () => {
  const { reports, drained } = open([]);
  const order = { pool: 'p', instance: 'i-1', graceSeconds: 25 };

  await reports.drain(order);

  expect(drained).toEqual([order]);
});
