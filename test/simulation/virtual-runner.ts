import type { Assignment, ReportedOutcome, RunnerEvent } from '../../services/ports/fleet-protocol/port.ts';
import type { Chance } from './chance.ts';
import type { Plant } from './plant.ts';

interface HeldJob {
  readonly assignment: Assignment;
  chunks: number;
}

/** Sees to it that nothing happens that must not. */
export interface Witness {
  /** Before a lease is asked for. @returns what is to be told of the answer */
  asked(): (assignment: Assignment) => void;
  /** A reader may have seen output of this attempt. */
  shown(assignment: Assignment): void;
}

const maxHeld = 3;

/** What a runner does, well or badly, one thing at a time. */
export class VirtualRunner {
  readonly instance: string;
  readonly #plant: () => Plant;
  readonly #chance: Chance;
  readonly #witness: Witness;
  readonly #held = new Map<string, HeldJob>();
  /** Jobs that it should not hold any more, and still reports. */
  readonly #stale: HeldJob[] = [];

  constructor(instance: string, plant: () => Plant, chance: Chance, witness: Witness) {
    this.instance = instance;
    this.#plant = plant;
    this.#chance = chance;
    this.#witness = witness;
  }

  async lease(): Promise<boolean> {
    if (this.#held.size >= maxHeld) return false;
    const abort = new AbortController();
    if (this.#chance.happens(0.1)) queueMicrotask(() => abort.abort());
    const answered = this.#witness.asked();
    const request = { instance: this.instance, waitSeconds: 0 };
    const assignment = await this.#plant().runner.lease(request, abort.signal);
    if (!assignment) return false;
    answered(assignment);
    this.#held.set(assignment.id, { assignment, chunks: 0 });
    return true;
  }

  async heartbeat(): Promise<void> {
    const jobs = [...this.#held.values()].map(({ assignment: { id, attempt } }) => ({ id, attempt }));
    const { stop } = await this.#plant().runner.heartbeat({ instance: this.instance, jobs });
    for (const { id } of stop) this.#letGo(id);
  }

  /** Output and logs of a job, sent twice now and then. */
  async progress(): Promise<void> {
    const held = this.#pick();
    if (!held) return;
    const { id, attempt } = held.assignment;
    const output = { type: 'output', index: held.chunks, chunk: `${attempt}.${held.chunks}` } as const;
    const logs = { type: 'logs', text: 'line\n' } as const;
    const events: RunnerEvent[] = this.#chance.happens(0.5) ? [logs] : [logs, output];
    await this.#repeatedly(async () => {
      await this.#plant().runner.report({ id, attempt, events });
      if (!events.includes(output)) return;
      this.#witness.shown(held.assignment);
      held.chunks = output.index + 1;
    });
  }

  async end(how: 'well' | 'anyhow' = 'anyhow'): Promise<void> {
    const held = how === 'well' ? [...this.#held.values()][0] : this.#pick();
    if (!held) return;
    const { id, attempt } = held.assignment;
    const code =
      how === 'well'
        ? undefined
        : this.#chance.pick([
            undefined,
            undefined,
            'model_error',
            'model_crashed',
            'platform_error',
          ] as const);
    const rest = { output: `of ${attempt}`, predictMs: this.#chance.below(5000), metrics: {} };
    const outcome: ReportedOutcome =
      code === undefined
        ? { status: 'succeeded', ...rest }
        : { status: 'failed', failure: { code, message: 'It broke.' }, ...rest };
    this.#letGo(id);
    const event = {
      type: 'ended',
      outcome,
      logs: `of ${attempt}`,
      acceptedAfterMs: this.#chance.below(50),
    } as const;
    await this.#repeatedly(async () => this.#plant().runner.report({ id, attempt, events: [event] }));
  }

  async giveBack(): Promise<void> {
    const held = this.#pick();
    if (!held) return;
    const { id, attempt } = held.assignment;
    this.#letGo(id);
    await this.#plant().runner.giveBack({ id, attempt });
  }

  /** Forgets all its jobs, as when its machine is gone; what it had sent may still arrive later. */
  async die(): Promise<void> {
    for (const id of [...this.#held.keys()]) this.#letGo(id);
  }

  /** Whether it has nothing to do. */
  get isIdle(): boolean {
    return this.#held.size === 0;
  }

  #letGo(id: string): void {
    const held = this.#held.get(id);
    if (!held) return;
    this.#held.delete(id);
    this.#stale.push(held);
    if (this.#stale.length > 10) this.#stale.shift();
  }

  #pick(): HeldJob | undefined {
    return this.#chance.happens(0.15)
      ? this.#chance.pick(this.#stale)
      : this.#chance.pick(this.#held.values());
  }

  /** Once or, as when the answer was lost, twice: at the same time or one after the other. */
  async #repeatedly(call: () => Promise<void>): Promise<void> {
    const refused = () => undefined;
    const again = this.#chance.happens(0.1) ? call : refused;
    await Promise.all([call().catch(refused), again()?.catch(refused)]);
    if (this.#chance.happens(0.1)) await call().catch(refused);
  }
}
