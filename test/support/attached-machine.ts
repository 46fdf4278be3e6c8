import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { FleetTokens } from '../../services/api/fleet-tokens.ts';
import { sharedPoolId } from '../../services/core/pool.ts';
import { type ModelProcess, startModelProcess } from '../../services/ports/fleet/model-process.ts';
import { SourceRegistrar } from '../../services/registrar/source.ts';

const repository = resolve(import.meta.dirname, '../..');

interface Options {
  readonly home: string;
  readonly url: string;
  readonly model: string;
  readonly version: string;
  readonly streams: boolean;
  /** Where the runner's sources are, for one of another release. @default this repository */
  readonly root?: string;
}

/**
 * A machine that lends its capacity to a pool: a real Cog server and, as a process of its own, the runner that feeds it,
 * under a supervisor. A runner that was killed is started again beside the same server, which may still run what the
 * one before had fetched; one that gives up is replaced together with its server.
 */
export class AttachedMachine {
  readonly #options: Options;
  readonly #token: string;
  readonly #pool: string;
  #model: ModelProcess | undefined;
  #runner: ChildProcess | undefined;
  #isStopped = false;
  #supervised: Promise<void> = Promise.resolve();
  kills = 0;

  private constructor(options: Options) {
    this.#options = options;
    const { model, version, home } = options;
    this.#pool = sharedPoolId({ model, version, hardware: 'cpu' });
    const key = Buffer.from(readFileSync(join(home, 'signing.key'), 'utf8').trim(), 'base64');
    this.#token = new FleetTokens(key, Date.now).mint({ role: 'runner', pool: this.#pool }, 24 * 3600);
  }

  static start(options: Options): AttachedMachine {
    const machine = new AttachedMachine(options);
    machine.#supervised = machine.#supervise();
    return machine;
  }

  /** Whether a runner is there to be killed. */
  get isRunning(): boolean {
    return this.#runner?.exitCode === null && this.#runner.signalCode === null;
  }

  kill(): void {
    this.kills += 1;
    this.#runner?.kill('SIGKILL');
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#runner?.kill('SIGTERM');
    await this.#supervised;
    await this.#model?.stop(0);
  }

  async #supervise(): Promise<void> {
    while (!this.#isStopped) {
      this.#model ??= await this.#startModel();
      const runner = this.#startRunner(this.#model.port);
      this.#runner = runner;
      const [, signal] = (await once(runner, 'exit')) as [number | null, string | null];
      if (signal === 'SIGKILL') continue;
      await this.#model.stop(0);
      this.#model = undefined;
    }
  }

  async #startModel(): Promise<ModelProcess> {
    const spec = await new SourceRegistrar({ home: this.#options.home }).launch(this.#options.version);
    return await startModelProcess(spec, 1);
  }

  #startRunner(port: number): ChildProcess {
    const { url, streams, root = repository } = this.#options;
    return spawn(process.execPath, [join(root, 'services/runner/main.ts')], {
      env: {
        ...process.env,
        MIMEO_URL: url,
        MIMEO_RUNNER_TOKEN: this.#token,
        MIMEO_INSTANCE: `attached-${randomBytes(8).toString('hex')}`,
        MIMEO_POOL: this.#pool,
        MIMEO_STREAMS: String(streams),
        COG_URL: `http://127.0.0.1:${port}`,
        MIMEO_DRAIN_GRACE_SECONDS: '2',
        MIMEO_LOG_LEVEL: 'silent',
      },
      stdio: 'ignore',
    });
  }
}
