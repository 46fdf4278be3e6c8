import { newJobId } from '../../services/core/ids.ts';
import type { Job } from '../../services/core/job.ts';

/** A prediction that waits, of account `local` on `local/model`, with what a test wants different. */
export function aJob(different: Partial<Job> = {}): Job {
  return {
    id: newJobId(),
    kind: 'prediction',
    account: 'local',
    token: 'token',
    model: 'local/model',
    version: 'a'.repeat(64),
    deployment: null,
    pool: 'local/model@cpu',
    hardware: 'cpu',
    microUsdPerSecond: 100,
    source: 'api',
    streams: false,
    status: 'starting',
    createdAt: 1_000_000,
    startedAt: null,
    completedAt: null,
    deadlineAt: null,
    attempt: 0,
    lease: null,
    losses: 0,
    crashes: 0,
    failure: null,
    billedMs: null,
    costMicroUsd: null,
    predictMs: null,
    dataRemoved: false,
    ...different,
  };
}
