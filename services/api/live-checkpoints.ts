import type { Job } from '../core/job.ts';
import type { JobFlow } from '../data/job-flow.ts';
import { readProgress } from '../data/progress.ts';

/** Least time between two of a job. */
const spacingMs = 500;

interface Kept {
  readonly attempt: number;
  /** What has come since the last checkpoint. */
  pending: 'output' | 'logs' | undefined;
}

/**
 * Stores what running jobs put out as soon as their webhooks want to hear of it: at once, then every half second while
 * something comes. The change feed takes it from there.
 */
export class LiveCheckpoints {
  readonly #flow: JobFlow;
  readonly #jobs = new Map<string, Kept>();

  constructor(flow: JobFlow) {
    this.#flow = flow;
  }

  /** Notes that a running job has put something out. @returns whether its webhook wants to hear of that */
  async note(job: Job, type: 'output' | 'logs'): Promise<boolean> {
    if (!job.webhookEvents?.includes(type)) return false;
    const known = this.#jobs.get(job.id);
    if (known?.attempt === job.attempt) {
      // Each webhook carries the whole prediction, so one tells of both.
      if (known.pending !== 'output') known.pending = type;
      return true;
    }
    const kept = { attempt: job.attempt, pending: type };
    this.#jobs.set(job.id, kept);
    await this.#store(job, kept);
    return true;
  }

  async #store(job: Job, kept: Kept): Promise<void> {
    const { pending } = kept;
    if (pending === undefined) {
      if (this.#jobs.get(job.id) === kept) this.#jobs.delete(job.id);
      return;
    }
    kept.pending = undefined;
    setTimeout(() => void this.#store(job, kept), spacingMs).unref();
    try {
      const progress = await readProgress(this.#flow.channel, job);
      const result = progress && { ...progress, metrics: {}, attempt: job.attempt };
      if (result) await this.#flow.jobs.checkpoint(job, result, pending);
    } catch {
      // What comes next carries it too, and the end stores everything.
    }
  }
}
