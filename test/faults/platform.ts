import { setTimeout as pause } from 'node:timers/promises';
import type { LocalServer, TestHome } from '../support/local-server.ts';

/** How often a start that failed is tried again before the run is given up. */
const maxStarts = 3;

/** The platform under a supervisor: killed, it is started again on its home and its port. */
export class Platform {
  readonly #home: TestHome;
  readonly #env: Readonly<Record<string, string>>;
  #server: LocalServer;
  readonly url: string;
  readonly token: string;
  kills = 0;
  /** What processes that ended by themselves had to say, which none should. */
  readonly collapses: string[] = [];
  readonly #collapse = Promise.withResolvers<never>();

  private constructor(home: TestHome, env: Readonly<Record<string, string>>, server: LocalServer) {
    this.#home = home;
    this.#server = server;
    this.#env = { ...env, MIMEO_PORT: new URL(server.url).port };
    this.url = server.url;
    this.token = server.token;
    this.#collapse.promise.catch(() => undefined);
    this.#watch(server);
  }

  static async start(home: TestHome, env: Readonly<Record<string, string>>): Promise<Platform> {
    return new Platform(home, env, await home.start(env));
  }

  /** Rejects when the platform ends by itself, after which there is nothing left to do faults to. */
  get collapse(): Promise<never> {
    return this.#collapse.promise;
  }

  get server(): LocalServer {
    return this.#server;
  }

  /**
   * Kills it and starts it again.
   * @param againAfterMs kills the new process, too, this long after its start
   * @param beforeStart done while nothing runs
   */
  async kill(againAfterMs: number | null, beforeStart: () => void): Promise<void> {
    this.kills += 1;
    await this.#server.kill();
    beforeStart();
    if (againAfterMs !== null) {
      this.kills += 1;
      const second = this.#home.launch(this.#env);
      await pause(againAfterMs);
      const { signal, stderr } = await second.kill();
      if (signal !== 'SIGKILL') this.collapses.push(`A start ended by itself: ${stderr.slice(-3000)}`);
    }
    await this.#start();
  }

  /** Stops it as an operator does. */
  async stop(): Promise<void> {
    const { code, stderr } = await this.#server.stop();
    if (code !== 0) this.collapses.push(`A stop ended with ${code}: ${stderr.slice(-3000)}`);
  }

  async #start(): Promise<void> {
    for (let starts = 1; ; starts += 1) {
      try {
        this.#server = await this.#home.start(this.#env);
        this.#watch(this.#server);
        return;
      } catch (error) {
        this.collapses.push(String(error));
        if (starts === maxStarts) throw error;
      }
    }
  }

  /** What ends by itself is not started again: the run shall fail, and say why. */
  #watch(server: LocalServer): void {
    void server.ended.then(({ code, signal, stderr }) => {
      if (signal === 'SIGKILL' || code === 0) return;
      const said = `The platform ended by itself (${code ?? signal}): ${stderr.slice(-3000)}`;
      this.collapses.push(said);
      this.#collapse.reject(new Error(said));
    });
  }
}
