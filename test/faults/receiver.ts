import type { ServerResponse } from 'node:http';
import { type ReceivedWebhook, type Receiver, startReceiver } from '../support/receiver.ts';

/** A receiver of webhooks that can be cut, and remembers what it has accepted over all of its lives. */
export class CuttableReceiver {
  #current: Receiver | undefined;
  #fails = false;
  /** What was answered with 2xx. */
  readonly accepted: ReceivedWebhook[] = [];
  cuts = 0;
  readonly url: string;
  readonly #port: number;

  private constructor(current: Receiver) {
    this.url = current.url;
    this.#port = current.port;
  }

  static async start(): Promise<CuttableReceiver> {
    const first = await startReceiver();
    const receiver = new CuttableReceiver(first);
    await first.close();
    await receiver.restore();
    return receiver;
  }

  /** `refuses`: nothing listens. `fails`: everything is answered with 500. */
  async cut(how: 'refuses' | 'fails'): Promise<void> {
    this.cuts += 1;
    this.#fails = how === 'fails';
    if (how === 'refuses') await this.close();
  }

  async restore(): Promise<void> {
    this.#fails = false;
    this.#current ??= await startReceiver((response) => this.#answer(response), this.#port);
  }

  async close(): Promise<void> {
    const current = this.#current;
    this.#current = undefined;
    await current?.close();
  }

  #answer(response: ServerResponse): void {
    const webhook = this.#current?.received.pop();
    if (!this.#fails && webhook) this.accepted.push(webhook);
    response.writeHead(this.#fails || !webhook ? 500 : 204).end();
  }
}
