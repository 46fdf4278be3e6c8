import { newJobId } from '../../services/core/ids.ts';
import { type Job, startJob } from '../../services/core/job.ts';

/** A prediction that waits, of account `local` on `local/model`, with what a test wants different. */
export function aJob(different: Partial<Job> = {}): Job {
  const fresh = startJob({
    id: newJobId(Date.now()),
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
    createdAt: 1_000_000,
    deadlineAt: null,
  });
  return { ...fresh, ...different };
}
