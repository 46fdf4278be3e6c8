import {
  type DirectorProtocol,
  type ReceivedReport,
  reportKeptSeconds,
} from '../ports/fleet-protocol/port.ts';

/** What runners on other machines said last, for a fleet that does not see their processes. */
export interface RunnerReports {
  of(instance: string): ReceivedReport | undefined;
  /** Calls back whenever something new was said. Returns a function that stops it. */
  onChange(listener: () => void): () => void;
  drain: DirectorProtocol['drain'];
}

/** The clocks of the control plane's machines may be apart, and an index shows a report late: so much is asked for twice. */
const overlapMs = 30_000;

/**
 * Takes what runners said out of the answers on demand, with which it comes.
 * @returns the same protocol, by which a director asks, and what its answers told
 */
export function withRunnerReports(protocol: DirectorProtocol): {
  readonly protocol: DirectorProtocol;
  readonly reports: RunnerReports;
} {
  const known = new Map<string, ReceivedReport>();
  const listeners = new Set<() => void>();
  let newest = 0;

  const take = (reports: readonly ReceivedReport[]) => {
    let isNew = false;
    for (const report of reports) {
      const before = known.get(report.instance);
      if (before && before.receivedAt >= report.receivedAt) continue;
      known.set(report.instance, report);
      newest = Math.max(newest, report.receivedAt);
      isNew = true;
    }
    if (!isNew) return;
    // Each is repeated far more often while its instance is there.
    for (const [instance, { receivedAt }] of known) {
      if (receivedAt < newest - 2 * reportKeptSeconds * 1000) known.delete(instance);
    }
    for (const listener of [...listeners]) listener();
  };

  return {
    protocol: {
      async demand(request, signal) {
        const reportsAfter = Math.max(0, newest - overlapMs);
        const demand = await protocol.demand({ ...request, reportsAfter }, signal);
        take(demand.reports ?? []);
        return demand;
      },
      reportPool: async (state) => protocol.reportPool(state),
      refuse: async (request) => protocol.refuse(request),
      drain: async (request) => protocol.drain(request),
    },
    reports: {
      of: (instance) => known.get(instance),
      onChange(listener) {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
      drain: async (request) => protocol.drain(request),
    },
  };
}
