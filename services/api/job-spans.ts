import type { Job } from '../core/job.ts';
import { type JobTrace, parentOf } from '../core/trace.ts';
import type { JobFlow } from '../data/job-flow.ts';
import type { Traces } from '../ports/traces/port.ts';

/**
 * Records the spans of each traced job that ends by a change of this process: its whole life and its wait for a lease.
 * What belongs to them travels with the job's row, so that it need not be the process that created it.
 */
export function recordJobSpans(flow: JobFlow, traces: Traces): void {
  flow.onEnd((job) => {
    if (job.trace) record(traces, job, job.trace);
  });
}

function record(traces: Traces, job: Job, trace: JobTrace): void {
  const { traceparent } = trace;
  const endAt = job.completedAt ?? job.createdAt;
  const span = traces.begin(job.kind, {
    kind: 'internal',
    parent: parentOf(trace),
    traceparent,
    startAt: job.createdAt,
    attributes: {
      'mimeo.prediction.id': job.id,
      'mimeo.account': job.account,
      'mimeo.model': job.model,
      'mimeo.version': job.version,
      'mimeo.hardware': job.hardware,
    },
  });
  const queued = { kind: 'internal', parent: traceparent, startAt: job.createdAt } as const;
  traces.begin('queue', queued).end({ endAt: job.startedAt ?? endAt });
  span.end({
    endAt,
    attributes: {
      'mimeo.status': job.status,
      'mimeo.code': job.failure?.code,
      'mimeo.attempt': job.attempt,
      'mimeo.predict_ms': job.predictMs ?? undefined,
      'mimeo.billed_ms': job.billedMs ?? undefined,
    },
    error: job.status === 'succeeded' ? undefined : (job.failure?.code ?? job.status),
  });
}
