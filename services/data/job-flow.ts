import type { Logger } from 'pino';
import { hasEnded, type Job, type JobEvent } from '../core/job.ts';
import type { Channel } from '../ports/channel/port.ts';
import type { Queue } from '../ports/queue/port.ts';
import type { Durability, Value } from '../ports/table/port.ts';
import type { CreateOptions, Jobs, Result } from './jobs.ts';
import { demandTopic, instanceTopic, jobTopic, readProgress } from './progress.ts';

/**
 * Changes of a job's state, each one write to the Table, and the wake-ups that follow it. The wake-ups are best
 * effort: what is lost of them the sweeper and the waiters' second look repair.
 */
export class JobFlow {
  readonly jobs: Jobs;
  readonly channel: Channel;
  readonly #queue: Queue;
  readonly #logger: Logger | undefined;
  readonly #endListeners: ((job: Job) => void)[] = [];

  /** @param parts.logger told of messages that could not be sent */
  constructor(parts: { jobs: Jobs; queue: Queue; channel: Channel; logger?: Logger }) {
    this.jobs = parts.jobs;
    this.channel = parts.channel;
    this.#queue = parts.queue;
    this.#logger = parts.logger;
  }

  /** @throws ConflictError where a job of this id exists */
  async create(
    job: Job,
    input: { readonly [name: string]: Value },
    options: CreateOptions,
    durability?: Durability,
  ): Promise<void> {
    await this.jobs.create(job, input, options, durability);
    await this.#hint(job);
  }

  /** Calls `listener` with each job that ends by a change of this process, and after that change. */
  onEnd(listener: (job: Job) => void): void {
    this.#endListeners.push(listener);
  }

  /**
   * Tells the pool's runners and the directors that a job waits.
   * @throws Error where the queue does not take the message
   */
  async enqueue(job: Job): Promise<void> {
    await this.#queue.send(job.pool, { jobId: job.id, group: job.account });
    await this.channel.ring(demandTopic);
  }

  /**
   * Applies an event and lets everybody know. A job that was put back is enqueued anew.
   * @param result stored in the same write where the job ends
   * @param pool where given, a job of another pool is as good as none
   * @param known the job as it was read a moment ago, which saves to read it again
   * @returns the job as it is now and whether the event changed it; undefined where there is no such job
   */
  async apply(
    id: string,
    event: JobEvent,
    result?: Result,
    pool?: string,
    known?: Job,
  ): Promise<{ job: Job; changed: boolean } | undefined> {
    const before = known ?? (await this.jobs.get(id));
    if (!before || (pool !== undefined && before.pool !== pool)) return undefined;
    const decided = await this.jobs.applyTo(before, event, result);
    if (!decided) return await this.apply(id, event, result, pool);
    // What was known may be out of date; only what is stored can refuse.
    if (decided.kind === 'refused' && known) return await this.apply(id, event, result, pool);
    if (decided.kind === 'refused') return { job: before, changed: false };
    await this.#announce(before, decided.job);
    return { job: decided.job, changed: true };
  }

  /**
   * Cancels a job, keeping what it has put out so far, and has its runner stop it. Idempotent.
   * @returns the job as it is now, or undefined where there is none
   */
  async cancel(id: string, reason: 'canceled' | 'deadline_exceeded', at: number): Promise<Job | undefined> {
    const job = await this.jobs.get(id);
    if (!job || hasEnded(job.status)) return job;
    const progress = job.status === 'processing' ? await readProgress(this.channel, job) : undefined;
    const result = progress && { ...progress, metrics: {}, attempt: job.attempt };
    return (await this.apply(id, { type: 'cancel', at, reason }, result))?.job;
  }

  /** The job is stored, and nobody may be told that it is not: what is not sent now the sweeper sends. */
  async #hint(job: Job): Promise<void> {
    try {
      await this.enqueue(job);
    } catch (error) {
      this.#logger?.warn({ err: error, job: job.id, pool: job.pool }, 'a message could not be sent');
      await this.channel.ring(demandTopic);
    }
  }

  async #announce(before: Job, after: Job): Promise<void> {
    if (after.status === 'starting') return await this.#hint(after);
    if (!hasEnded(after.status)) return;
    for (const listener of this.#endListeners) listener(after);
    await this.channel.ring(jobTopic(after.id));
    await this.channel.ring(demandTopic);
    if (after.status === 'canceled' && before.lease) await this.#stop(before.lease.instance, before);
  }

  async #stop(instance: string, job: Job): Promise<void> {
    const data = JSON.stringify({ id: job.id, attempt: job.attempt });
    await this.channel.publish(instanceTopic(`${job.pool}/${instance}`), {
      id: `${job.id}.${job.attempt}`,
      type: 'stop',
      data,
    });
  }
}
