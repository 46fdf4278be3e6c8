import type { PoolState } from '../core/pool.ts';
import type { Decision } from '../core/scaling.ts';

/** Shortest time between two reports of a pool. */
const spacingMs = 100;
/** The same where only who works and who idles has changed, which happens with every job. */
const detailSpacingMs = 2000;
/** How long after a report that failed the next is tried. */
const retryMs = 1000;
/** Characters of setup logs that a report keeps, from their end: a stored item holds 400 KB in all. */
const instanceLogCharacters = 4000;
const allInstancesLogCharacters = 100_000;
const breakerLogCharacters = 64 * 1024;

interface Followed {
  /** What the last report said, without what changes with every job; and all of it. */
  sent: { readonly gist: string; readonly detail: string };
  sentAt: number;
  next: { readonly state: PoolState; readonly gist: string; readonly detail: string } | undefined;
  timer: NodeJS.Timeout | undefined;
  sending: Promise<void> | undefined;
}

/** Tells the control plane what pools are like: soon after something changed, and seldom while they just work. */
export class PoolReports {
  readonly #send: (state: PoolState) => Promise<void>;
  readonly #onError: (error: unknown, pool: string) => void;
  readonly #followed = new Map<string, Followed>();
  #closed = false;

  constructor(send: (state: PoolState) => Promise<void>, onError: (error: unknown, pool: string) => void) {
    this.#send = send;
    this.#onError = onError;
  }

  /** Takes note of a pool's state and reports it where it says something new. */
  update(state: PoolState, action: Decision['action']): void {
    if (this.#closed) return;
    const followed = this.#follow(state.pool);
    const gist = JSON.stringify([
      state.desired,
      action,
      state.breaker?.until,
      state.instances.map(({ id, phase, detail }) => [id, phase, detail]),
    ]);
    const detail = JSON.stringify([
      state.reason,
      state.instances.map(({ running, idleSince, setupLogs }) => [running, idleSince, setupLogs.length]),
    ]);
    followed.next = { state: trim(state), gist, detail };
    this.#plan(followed);
  }

  /** Forgets a pool that is gone. */
  forget(pool: string): void {
    clearTimeout(this.#followed.get(pool)?.timer);
    this.#followed.delete(pool);
  }

  /** Sends nothing more; resolves when nothing is under way. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const { timer } of this.#followed.values()) clearTimeout(timer);
    await Promise.all([...this.#followed.values()].map(({ sending }) => sending));
  }

  #follow(pool: string): Followed {
    const known = this.#followed.get(pool);
    if (known) return known;
    const fresh: Followed = {
      sent: { gist: '', detail: '' },
      sentAt: Number.NEGATIVE_INFINITY,
      next: undefined,
      timer: undefined,
      sending: undefined,
    };
    this.#followed.set(pool, fresh);
    return fresh;
  }

  #plan(followed: Followed): void {
    clearTimeout(followed.timer);
    const { next, sent } = followed;
    if (this.#closed || followed.sending || next === undefined) return;
    if (next.gist === sent.gist && next.detail === sent.detail) return;
    const spacing = next.gist === sent.gist ? detailSpacingMs : spacingMs;
    const wait = followed.sentAt + spacing - Date.now();
    if (wait > 0) followed.timer = setTimeout(() => this.#report(followed), wait);
    else this.#report(followed);
  }

  #report(followed: Followed): void {
    const { next } = followed;
    if (next === undefined) return;
    followed.next = undefined;
    followed.sentAt = Date.now();
    followed.sent = next;
    followed.sending = this.#send(next.state)
      .catch((error: unknown) => {
        this.#onError(error, next.state.pool);
        followed.sent = { gist: '', detail: '' };
        followed.sentAt = Date.now() + retryMs;
        followed.next ??= next;
      })
      .finally(() => {
        followed.sending = undefined;
        this.#plan(followed);
      });
  }
}

function trim(state: PoolState): PoolState {
  const share = Math.floor(allInstancesLogCharacters / Math.max(1, state.instances.length));
  const most = Math.min(instanceLogCharacters, share);
  return {
    ...state,
    instances: state.instances.map((instance) => ({
      ...instance,
      setupLogs: instance.setupLogs.slice(-most),
    })),
    breaker: state.breaker && {
      ...state.breaker,
      setupLogs: state.breaker.setupLogs.slice(-breakerLogCharacters),
    },
  };
}
