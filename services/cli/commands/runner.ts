import { hostname } from 'node:os';
import { Command } from 'commander';
import { z } from 'zod';
import { createHttpFleetProtocol } from '../../ports/fleet-protocol/http.ts';
import { type Runner, startRunner } from '../../runner/app.ts';
import { modelAnswer } from '../answers.ts';
import type { Client } from '../client.ts';
import { CliError, usageError } from '../failure.ts';
import { say } from '../terminal.ts';
import { readTarget } from './model-name.ts';
import { addServerOptions, connect, type ServerOptions } from './server-options.ts';

interface RunnerCommandOptions extends ServerOptions {
  readonly cog: string;
  readonly setupTimeout: string;
  readonly grace: string;
}

const tokenAnswer = z.object({
  token: z.string(),
  expires_at: z.iso.datetime(),
  pool: z.string(),
  image: z.string().nullable(),
  concurrency: z.int().positive(),
  streams: z.boolean(),
});
type TokenAnswer = z.infer<typeof tokenAnswer>;

/** `mimeo runner`: lends this machine to a model of one's own. */
export function runnerCommand(signal: AbortSignal): Command {
  const command = new Command('runner')
    .description('Run predictions of a model of yours on this machine, until Ctrl-C. It calls out only.')
    .argument('<owner/name[:version]>', 'the model, or one version of it (default: the latest)')
    .option('--cog <url>', "the model's Cog server on this machine", 'http://127.0.0.1:5000')
    .option('--setup-timeout <seconds>', 'a setup that takes longer has failed', '600')
    .option(
      '--grace <seconds>',
      'after Ctrl-C, predictions that have not ended within this are given back',
      '25',
    )
    .addHelpText(
      'after',
      `
Start the model's own server first, reached by nobody but this machine:
  $ docker run --rm --gpus all -p 127.0.0.1:5000:5000 IMAGE
  $ npx mimeo runner ada/painter

The model sees its callers' inputs. Predictions that this machine takes are billed as any others.`,
    );
  return addServerOptions(command).action((target: string, options: RunnerCommandOptions) =>
    lend(target, options, signal),
  );
}

async function lend(target: string, options: RunnerCommandOptions, signal: AbortSignal): Promise<void> {
  const cogUrl = readCogUrl(options.cog);
  const [setupTimeoutMs, graceMs] = [readSeconds(options.setupTimeout), readSeconds(options.grace)];
  const client = await connect(options);
  const { name, versionId } = readTarget(target);
  const version = versionId ?? (await latestOf(client, name, signal));
  const tokens = new LentTokens(client, `/models/${name}/versions/${version}/runner-token`);
  const { pool, image, concurrency, streams } = await tokens.first(signal);
  await assertReachable(cogUrl, image);
  const runner = startRunner({
    protocol: createHttpFleetProtocol({ url: client.server.url, token: () => tokens.current() }),
    instanceId: `${hostname().slice(0, 60)}-${process.pid}-${Date.now().toString(36)}`,
    pool: { id: pool, concurrency, streams },
    cogUrl,
    setupTimeoutMs,
  });
  say(`This machine takes predictions of ${name}, version ${version.slice(0, 12)}. Ctrl-C ends it.`);
  const problem = await untilOver(runner, signal);
  await runner.drain({ graceMs: problem === undefined ? graceMs : 0 });
  if (problem !== undefined) throw new CliError(problem);
  signal.throwIfAborted();
}

/** Resolves when it is to stop; to what is wrong where the model's server is of no more use. */
async function untilOver(runner: Runner, signal: AbortSignal): Promise<string | undefined> {
  const over = Promise.withResolvers<string | undefined>();
  let phase: string | undefined;
  const look = () => {
    if (runner.phase === 'ready' && phase !== 'ready')
      say(`Ready after ${runner.setupSeconds?.toFixed(1)} s of setup.`);
    phase = runner.phase;
    if (runner.failure) over.resolve(`${runner.failure.message}\n${runner.setupLogs}`.trimEnd());
    else if (runner.broken !== null)
      over.resolve(`The model's server cannot be used any more: ${runner.broken}`);
  };
  const stopListening = runner.onChange(look);
  const stop = () => over.resolve(undefined);
  signal.addEventListener('abort', stop);
  look();
  try {
    return await over.promise;
  } finally {
    stopListening();
    signal.removeEventListener('abort', stop);
  }
}

/** Tokens for one pool, each used for half of its life. */
class LentTokens {
  readonly #client: Client;
  readonly #path: string;
  #known: { readonly token: string; readonly freshUntil: number } | undefined;

  constructor(client: Client, path: string) {
    this.#client = client;
    this.#path = path;
  }

  async first(signal?: AbortSignal): Promise<TokenAnswer> {
    const askedAt = Date.now();
    const answer = await this.#client.call('POST', this.#path, tokenAnswer, { signal });
    const lifeMs = Date.parse(answer.expires_at) - askedAt;
    this.#known = { token: answer.token, freshUntil: askedAt + lifeMs / 2 };
    return answer;
  }

  async current(): Promise<string> {
    if (this.#known && Date.now() < this.#known.freshUntil) return this.#known.token;
    return (await this.first()).token;
  }
}

async function latestOf(client: Client, name: string, signal: AbortSignal): Promise<string> {
  const { latest_version: latest } = await client.call('GET', `/models/${name}`, modelAnswer, { signal });
  if (latest) return latest.id;
  throw new CliError(`The model ${name} has no version yet. Push one: npx mimeo push DIR ${name}`);
}

async function assertReachable(cogUrl: string, image: string | null): Promise<void> {
  try {
    await fetch(`${cogUrl}/health-check`, { signal: AbortSignal.timeout(5000) });
  } catch {
    const how =
      image === null ? 'python -m cog.server.http' : `docker run --rm -p 127.0.0.1:5000:5000 ${image}`;
    throw usageError(`No Cog server answers at ${cogUrl}. Start it (${how}), or name another by --cog.`);
  }
}

function readCogUrl(text: string): string {
  const parsed = z.url({ protocol: /^http$/, hostname: /^(127\.0\.0\.1|localhost)$/ }).safeParse(text);
  if (parsed.success) return text.replace(/\/+$/, '').replace('localhost', '127.0.0.1');
  throw usageError(`--cog takes a server on this machine, such as http://127.0.0.1:5000, not "${text}".`);
}

function readSeconds(text: string): number {
  const seconds = Number(text);
  if (text.trim() !== '' && seconds >= 0 && seconds <= 86_400) return seconds * 1000;
  throw usageError(`"${text}" is not a number of seconds from 0 to 86400.`);
}
