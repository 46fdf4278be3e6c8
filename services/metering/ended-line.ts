import type { Job } from '../core/job.ts';
import type { MeasuredLines } from '../core/log-lines.ts';

/** What the log says of a job that has ended. */
export function endedLine(job: Job): MeasuredLines['a job ended'] {
  const { id, hardware, status, failure, createdAt, startedAt, completedAt, billedMs, costMicroUsd } = job;
  const waitedUntil = startedAt ?? completedAt ?? createdAt;
  return {
    job: id,
    hardware,
    status,
    code: failure?.code ?? null,
    waitSeconds: Math.max(0, waitedUntil - createdAt) / 1000,
    billedMs: billedMs ?? 0,
    costMicroUsd: costMicroUsd ?? 0,
  };
}
