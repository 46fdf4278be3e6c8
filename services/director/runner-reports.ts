import { isDeepStrictEqual } from 'node:util';
import { isPodOf } from '../core/kubernetes-names.ts';
import {
  type DirectorProtocol,
  type DrainRequest,
  type ReceivedReport,
  reportKeptSeconds,
} from '../ports/fleet-protocol/port.ts';

const keptMs = reportKeptSeconds * 1000;
/** How far behind the newest report others may still turn up: an index lags, and the api's clocks differ. */
const marginMs = 10_000;

/** What runners on other machines have said last of their instances, and how to have these drain. */
export class RunnerReports {
  readonly #protocol: Pick<DirectorProtocol, 'drain'>;
  readonly #now: () => number;
  readonly #known = new Map<string, ReceivedReport>();
  readonly #listeners = new Set<() => void>();
  /** When the control plane got the newest; epoch ms, by its clock. */
  #newestAt: number | undefined;

  /** @param now epoch ms */
  constructor(protocol: Pick<DirectorProtocol, 'drain'>, now: () => number = Date.now) {
    this.#protocol = protocol;
    this.#now = now;
  }

  /** Since when reports are to be asked for: all that are kept at first, then what may be new. Epoch ms. */
  get after(): number {
    return Math.max(0, this.#newestAt === undefined ? this.#now() - keptMs : this.#newestAt - marginMs);
  }

  /** Takes note of what an answer to `demand` brought, some of it perhaps once more. */
  take(reports: readonly ReceivedReport[]): void {
    let hasChanged = false;
    for (const report of reports) {
      this.#newestAt = Math.max(this.#newestAt ?? 0, report.receivedAt);
      // A runner's token says of which pool it is, and nothing more: it may not speak for an instance of another.
      if (!isPodOf(report.pool, report.instance)) continue;
      // By the order in which they were read, not by time: what came through two apis bears the times of two clocks.
      if (isDeepStrictEqual(this.#known.get(report.instance), report)) continue;
      this.#known.set(report.instance, report);
      hasChanged = true;
    }
    this.#forget();
    if (!hasChanged) return;
    for (const listener of [...this.#listeners]) listener();
  }

  /** What was said last of an instance; undefined where that is too long ago, or nothing was. */
  of(instance: string): ReceivedReport | undefined {
    return this.#known.get(instance);
  }

  /** Calls back when something new has come in. Returns a function that stops it. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Tells an instance to end; to be repeated until it says that it does. @throws ProblemError as the protocol does */
  async drain(request: DrainRequest): Promise<void> {
    await this.#protocol.drain(request);
  }

  /** Runners repeat what they said: one that has been silent for so long, while others were not, is gone. */
  #forget(): void {
    const newestAt = this.#newestAt ?? 0;
    for (const [instance, { receivedAt }] of this.#known) {
      if (receivedAt < newestAt - keptMs) this.#known.delete(instance);
    }
  }
}
