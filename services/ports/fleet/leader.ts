import { setTimeout } from 'node:timers/promises';
import { z } from 'zod';
import { type KubernetesClient, KubernetesError } from './kubernetes-client.ts';

export interface LeadershipOptions {
  readonly client: KubernetesClient;
  readonly namespace: string;
  /** Of the Lease. */
  readonly name: string;
  /** This process, of which no other has the name. */
  readonly identity: string;
  /** Called once, where it led and does so no more; it must change nothing from then on. */
  readonly onLost: (why: string) => void;
  readonly onProblem?: (error: unknown) => void;
  readonly times?: LeaseTimes;
  /** Milliseconds that only rise. @default performance.now */
  readonly clock?: () => number;
}

/** Milliseconds. */
export interface LeaseTimes {
  /** Whoever leads and does not renew for this long is taken over from. */
  readonly lease: number;
  /** Whoever leads and could not renew for this long leads no more; well before the others may take over. */
  readonly deadline: number;
  readonly renewal: number;
  /** How often the others look. */
  readonly look: number;
}

/** As the controllers of Kubernetes have them. */
const usualTimes: LeaseTimes = { lease: 15_000, deadline: 10_000, renewal: 2000, look: 2000 };

/** The right to decide, which one process of a cluster has at a time. */
export interface Leadership {
  /** Whether it leads at this very moment: asked before each change. */
  holds(): boolean;
  /** Gives it up, so that another need not wait for it to run out. */
  release(): Promise<void>;
}

const leaseSchema = z.object({
  metadata: z.object({ resourceVersion: z.string() }),
  spec: z
    .object({
      holderIdentity: z.string().nullish(),
      leaseDurationSeconds: z.number().nullish(),
      leaseTransitions: z.number().nullish(),
    })
    .default({}),
});
type Lease = z.infer<typeof leaseSchema>;

/**
 * Waits until this process leads, and goes on renewing that. A holder is dead where its Lease has not changed for its
 * whole time by our own clock: clocks of other machines count for nothing.
 * @returns undefined where `signal` aborted first
 */
export async function lead(options: LeadershipOptions, signal: AbortSignal): Promise<Leadership | undefined> {
  const candidate = new Candidate(options);
  while (!signal.aborted) {
    if (await candidate.tryToAcquire(signal)) return candidate.begin();
    await pause(candidate.times.look, signal);
  }
  return undefined;
}

class Candidate {
  readonly times: LeaseTimes;
  readonly #options: LeadershipOptions;
  readonly #clock: () => number;
  readonly #path: string;
  readonly #ended = new AbortController();
  /** What was seen last of another's Lease, and when. */
  #seen: { readonly version: string; readonly at: number } | undefined;
  #version = '';
  #transitions = 0;
  #renewedAt = Number.NEGATIVE_INFINITY;
  #renewing: Promise<void> = Promise.resolve();

  constructor(options: LeadershipOptions) {
    this.#options = options;
    this.times = options.times ?? usualTimes;
    this.#clock = options.clock ?? (() => performance.now());
    this.#path = `/apis/coordination.k8s.io/v1/namespaces/${options.namespace}/leases`;
  }

  async tryToAcquire(signal: AbortSignal): Promise<boolean> {
    const begunAt = this.#clock();
    try {
      const lease = await this.#read(signal);
      if (lease && !this.#isFree(lease)) return false;
      if (lease) {
        this.#version = lease.metadata.resourceVersion;
        this.#transitions = (lease.spec.leaseTransitions ?? 0) + 1;
      }
      await this.#write(lease ? 'PUT' : 'POST', this.#options.identity, signal);
      this.#renewedAt = begunAt;
      return true;
    } catch (error) {
      // Another was faster.
      if (!isConflict(error) && !signal.aborted) this.#options.onProblem?.(error);
      return false;
    }
  }

  begin(): Leadership {
    this.#renewing = this.#renew();
    return {
      holds: () => !this.#ended.signal.aborted && this.#isFresh(),
      release: async () => {
        if (this.#ended.signal.aborted) return;
        this.#ended.abort();
        await this.#renewing;
        // Where that fails, it runs out by itself.
        await this.#write('PUT', '').catch((error: unknown) => this.#options.onProblem?.(error));
      },
    };
  }

  #isFree({ metadata, spec }: Lease): boolean {
    // Nobody's, or our own of before: the name of a process is not given again.
    if (!spec.holderIdentity || spec.holderIdentity === this.#options.identity) return true;
    const now = this.#clock();
    if (this.#seen?.version !== metadata.resourceVersion) {
      this.#seen = { version: metadata.resourceVersion, at: now };
      return false;
    }
    return now - this.#seen.at > (spec.leaseDurationSeconds ?? this.times.lease / 1000) * 1000;
  }

  #isFresh(): boolean {
    return this.#clock() - this.#renewedAt < this.times.deadline;
  }

  async #renew(): Promise<void> {
    const { signal } = this.#ended;
    while (!signal.aborted) {
      await pause(Math.min(this.times.renewal, this.#leftMs()), signal);
      if (signal.aborted) return;
      if (!this.#isFresh()) {
        this.#lose(`its Lease could not be renewed for ${this.times.deadline / 1000} s`);
        return;
      }
      const begunAt = this.#clock();
      // An answer that comes after the deadline is of no use.
      const limit = AbortSignal.any([signal, AbortSignal.timeout(Math.max(1, Math.ceil(this.#leftMs())))]);
      try {
        await this.#write('PUT', this.#options.identity, limit);
        this.#renewedAt = begunAt;
      } catch (error) {
        if (signal.aborted) return;
        if (isConflict(error)) await this.#readAgain(limit);
        this.#options.onProblem?.(error);
      }
    }
  }

  #leftMs(): number {
    return Math.max(0, this.times.deadline - (this.#clock() - this.#renewedAt));
  }

  /** Somebody has changed the Lease: another that leads, or ourselves by a request whose answer was lost. */
  async #readAgain(signal: AbortSignal): Promise<void> {
    const lease = await this.#read(signal).catch(() => undefined);
    if (!lease) return;
    if (lease.spec.holderIdentity === this.#options.identity) this.#version = lease.metadata.resourceVersion;
    else this.#lose(`${lease.spec.holderIdentity ?? 'nobody'} has taken over`);
  }

  #lose(why: string): void {
    if (this.#ended.signal.aborted) return;
    this.#ended.abort();
    this.#options.onLost(why);
  }

  async #read(signal: AbortSignal): Promise<Lease | undefined> {
    try {
      const path = `${this.#path}/${this.#options.name}`;
      return leaseSchema.parse(await this.#options.client.request('GET', path, { signal }));
    } catch (error) {
      if (error instanceof KubernetesError && error.status === 404) return undefined;
      throw error;
    }
  }

  /** Refused with a conflict where the Lease is not what we saw last. */
  async #write(method: 'POST' | 'PUT', holderIdentity: string, signal?: AbortSignal): Promise<void> {
    const now = new Date().toISOString().replace(/Z$/, '000Z');
    const body = {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: {
        name: this.#options.name,
        namespace: this.#options.namespace,
        ...(method === 'PUT' ? { resourceVersion: this.#version } : {}),
      },
      spec: {
        holderIdentity,
        leaseDurationSeconds: Math.max(1, Math.ceil(this.times.lease / 1000)),
        renewTime: now,
        leaseTransitions: this.#transitions,
      },
    };
    const path = method === 'PUT' ? `${this.#path}/${this.#options.name}` : this.#path;
    const call = { body, ...(signal ? { signal } : {}) };
    this.#version = leaseSchema.parse(
      await this.#options.client.request(method, path, call),
    ).metadata.resourceVersion;
  }
}

function isConflict(error: unknown): boolean {
  return error instanceof KubernetesError && error.status === 409;
}

/** Ends early, and without an error, once `signal` aborts. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await setTimeout(ms, undefined, { signal }).catch(() => {});
}
