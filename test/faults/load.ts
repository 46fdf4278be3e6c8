import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Chance } from '../simulation/chance.ts';

/** What the load asks for, and what a client was told of it. */
export interface Request {
  /** In the input of all models that take a text, and in the webhook's path. */
  readonly marker: string;
  readonly model: string;
  readonly input: object;
  readonly hasWebhook: boolean;
  readonly key: string | undefined;
  /** Ids in its 201s; several where it was repeated with its key. */
  readonly ids: string[];
  /** How often the server said that it did not take it. */
  refusals: number;
  /** Statuses of ends that a client has read: none may change. */
  readonly ends: Set<string>;
}

/** Where requests go. */
export interface Target {
  readonly url: string;
  readonly token: string;
  /** A folder for what models write by themselves, which is never full. */
  readonly folder: string;
  readonly webhooks: string;
}

/** Predictions of one client that have not ended, at most: else it waits for one. */
const mostOpen = 5;
const callTimeoutMs = 20_000;

/** A client that creates, repeats, reads and cancels until it is told to stop, through every outage. */
export class Client {
  readonly #target: Target;
  readonly #chance: Chance;
  readonly #stop = new AbortController();
  readonly #open: Request[] = [];
  readonly #running: Promise<void>;
  readonly requests: Request[] = [];
  /** Answers that no client should get. */
  readonly wrong: string[] = [];

  constructor(target: Target, seed: number) {
    this.#target = target;
    this.#chance = new Chance(seed);
    this.#running = this.#run();
  }

  /** Begins nothing more, and resolves when all that it began with a key was answered. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const request = this.#newRequest();
      this.requests.push(request);
      await this.#create(request);
      if (request.ids.length > 0) this.#open.push(request);
      if (this.#chance.happens(0.12)) await this.#cancel(request);
      await this.#pause(50 + this.#chance.below(200));
      while (this.#open.length >= mostOpen && !this.#stop.signal.aborted) await this.#readOldest();
    }
  }

  #newRequest(): Request {
    const chance = this.#chance;
    const marker = randomUUID();
    const { model, input } = this.#newInput(marker);
    const hasWebhook = chance.happens(0.4);
    const key = chance.happens(0.3) ? marker : undefined;
    return { marker, model, input, hasWebhook, key, ids: [], refusals: 0, ends: new Set() };
  }

  #newInput(marker: string): Pick<Request, 'model' | 'input'> {
    const chance = this.#chance;
    const share = chance.next();
    if (share < 0.3) return { model: 'noop', input: { text: marker } };
    // Beyond what the Table holds of a value.
    if (share < 0.4) return { model: 'noop', input: { text: marker.padEnd(20_000, '.') } };
    if (share < 0.6) return { model: 'counter', input: { n: 2 + chance.below(12), delay: 0.03 } };
    if (share < 0.9) {
      const file = join(this.#target.folder, 'diary');
      return { model: 'diary', input: { file, line: marker, seconds: chance.next() / 3 } };
    }
    return {
      model: 'file-out',
      input: { text: marker, name: join(this.#target.folder, `${marker}.txt`) },
    };
  }

  async #create(request: Request): Promise<void> {
    const { model, input, key, hasWebhook, marker } = request;
    const headers: Record<string, string> = {};
    if (this.#chance.happens(0.4)) headers.prefer = 'wait=5';
    if (key !== undefined) headers['idempotency-key'] = key;
    const body = {
      version: `local/${model}`,
      input,
      ...(hasWebhook
        ? {
            webhook: `${this.#target.webhooks}/${marker}`,
            webhook_events_filter: this.#chance.happens(0.5) ? ['completed'] : ['start', 'completed'],
          }
        : {}),
    };
    // Only with a key can it be sent again: of anything else nobody knows whether it was taken.
    do {
      const answer = await this.#call('POST', '/predictions', body, headers);
      if (answer?.status === 201) {
        request.ids.push(String(answer.body.id));
        this.#note(request, answer.body);
      } else if (answer?.status === 503) request.refusals += 1;
      else if (answer) this.#complain(`POST ${JSON.stringify(body).slice(0, 300)}`, answer);
      if (answer?.status !== 201) await pause(50);
    } while (key !== undefined && (request.ids.length === 0 || this.#chance.happens(0.2)));
  }

  async #cancel(request: Request): Promise<void> {
    const [id] = request.ids;
    if (id === undefined) return;
    await this.#pause(this.#chance.below(1500));
    const answer = await this.#call('POST', `/predictions/${id}/cancel`);
    if (answer?.status === 200) this.#note(request, answer.body);
    else if (answer && answer.status !== 503) this.#complain(`cancel ${id}`, answer);
  }

  async #readOldest(): Promise<void> {
    const request = this.#open.shift();
    const [id] = request?.ids ?? [];
    if (!request || id === undefined) return;
    const answer = await this.#call('GET', `/predictions/${id}`);
    if (answer?.status === 200) this.#note(request, answer.body);
    else if (answer) this.#complain(`GET ${id}`, answer);
    if (request.ends.size > 0) return;
    this.#open.push(request);
    await this.#pause(50);
  }

  #note({ ends }: Request, { completed_at, status }: Record<string, unknown>): void {
    if (typeof completed_at === 'string') ends.add(String(status));
  }

  #complain(what: string, { status, body }: { readonly status: number; readonly body: object }): void {
    this.wrong.push(`${what}: ${status} ${JSON.stringify(body).slice(0, 500)}`);
  }

  /** undefined where the answer did not arrive. */
  async #call(
    method: string,
    path: string,
    body?: object,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<{ readonly status: number; readonly body: Record<string, unknown> } | undefined> {
    const { url, token } = this.#target;
    try {
      const response = await fetch(`${url}/v1${path}`, {
        method,
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(callTimeoutMs),
      });
      return { status: response.status, body: (await response.json()) as Record<string, unknown> };
    } catch {
      return undefined;
    }
  }

  async #pause(ms: number): Promise<void> {
    await pause(ms, undefined, { signal: this.#stop.signal }).catch(() => undefined);
  }
}
