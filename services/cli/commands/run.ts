import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import { outputConcatenates } from '../../core/version.ts';
import {
  hasEnded,
  modelAnswer,
  type PredictionAnswer,
  predictionAnswer,
  type VersionAnswer,
  versionAnswer,
} from '../answers.ts';
import { ApiError, type Client, UnreachableError } from '../client.ts';
import { CliError, exitCodes, usageError } from '../failure.ts';
import { describeWaiting, type Follower, followByAsking, followByStream } from '../follow.ts';
import { readInputs } from '../inputs.ts';
import { type ModelInterface, modelInterface } from '../model-interface.ts';
import {
  type Destination,
  givesFiles,
  readDestination,
  renderOutput,
  saveFiles,
  writeNew,
} from '../outputs.ts';
import { Progress, print, say } from '../terminal.ts';
import { uploadFile } from '../upload.ts';
import { explainFailure, summarize } from '../verdict.ts';
import { readTarget } from './model-name.ts';
import { addServerOptions, connect, type ServerOptions } from './server-options.ts';

/** Nothing is said about a wait that is shorter. */
const quietMs = 1_000;
/** How long an interrupted run waits for the server to take the cancel. */
const cancelTimeoutMs = 5_000;

interface RunOptions extends ServerOptions {
  readonly json?: boolean;
  readonly output?: string;
  readonly stream: boolean;
  readonly cancelAfter?: string;
}

/** `mimeo run`: makes a prediction and shows what comes of it. */
export function runCommand(signal: AbortSignal): Command {
  const command = new Command('run')
    .description('Run a model and print its output. Ctrl-C cancels the prediction.')
    .argument('<owner/name[:version]>', 'the model, and a version if not its latest')
    .argument('[inputs...]', 'key=value, key=@file or key:=json; repeat a key to make a list')
    .option('--json', 'print the whole prediction as JSON on stdout, and nothing else')
    .option('-o, --output <path>', 'write the output to this file, or into this folder')
    .option('--no-stream', 'print the output when it is complete, not as it comes')
    .option('--cancel-after <time>', 'cancel it unless it has ended in time: 90s, 5m, 1h30m (at least 5s)');
  return addServerOptions(command)
    .addHelpText(
      'after',
      `
Inputs are converted by the model's own schema. key=@file sends a file's content: as a file where the model takes one,
else as text. Files that a model puts out are saved here, under names that are free. Logs go to stderr.

Examples:
  $ npx mimeo run local/my-model text=Hello
  $ npx mimeo run local/upscale image=@photo.jpg scale=2 --output large.png
  $ npx mimeo run local/chat prompt=@question.txt stop:='["\\n"]' --cancel-after 5m
  $ npx mimeo run local/my-model text=Hello --json | jq .metrics`,
    )
    .action((target: string, words: string[], options: RunOptions) => run(target, words, options, signal));
}

async function run(
  target: string,
  words: readonly string[],
  options: RunOptions,
  signal: AbortSignal,
): Promise<void> {
  const { name, versionId } = readTarget(target);
  checkCancelAfter(options.cancelAfter);
  const destination = options.output === undefined ? undefined : await readDestination(options.output);
  const client = await connect(options);
  const version = await findVersion(client, name, versionId, signal);
  const model = modelInterface(version);
  const input = await readInputs(words, model, (path, type) => uploadFile(client, path, type, signal));

  const created = await create(client, version, input, options, signal);
  const printer = new Printer(outputConcatenates(version.openapi_schema ?? {}));
  try {
    const live = options.stream && !options.json && !destination && !givesFiles(model);
    const ended = await follow(client, created, live ? printer : undefined, signal);
    await conclude(ended, { options, model, printer, destination, signal });
  } catch (error) {
    printer.stop();
    if (signal.aborted) await cancel(client, created.id);
    else if (error instanceof UnreachableError) say(`Prediction ${created.id} may still run on the server.`);
    throw error;
  }
}

async function findVersion(
  client: Client,
  name: string,
  versionId: string | undefined,
  signal: AbortSignal,
): Promise<VersionAnswer> {
  try {
    if (versionId) {
      return await client.call('GET', `/models/${name}/versions/${versionId}`, versionAnswer, { signal });
    }
    const model = await client.call('GET', `/models/${name}`, modelAnswer, { signal });
    if (model.latest_version) return model.latest_version;
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 404)) throw error;
    const what = versionId ? `${name} with version ${versionId.slice(0, 12)}…` : name;
    throw usageError(`There is no model ${what} on ${client.server.url} that you may use.`);
  }
  throw usageError(`${name} has no version yet. Push one: npx mimeo push DIR ${name}`);
}

async function create(
  client: Client,
  version: VersionAnswer,
  input: Record<string, unknown>,
  options: RunOptions,
  signal: AbortSignal,
): Promise<PredictionAnswer> {
  signal.throwIfAborted();
  // Not ended by `signal`: a prediction whose id never arrived could not be canceled.
  const creating = client.call('POST', '/predictions', predictionAnswer, {
    json: { version: version.id, input, stream: options.stream },
    headers: options.cancelAfter ? { 'cancel-after': options.cancelAfter } : {},
  });
  try {
    return await Promise.race([creating, afterAbort(signal)]);
  } catch (error) {
    const wrong = error instanceof ApiError && (error.code === 'input_invalid' || error.status === 400);
    throw wrong ? usageError(error.message) : error;
  }
}

/** Rejects some time after an interruption. */
async function afterAbort(signal: AbortSignal): Promise<never> {
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  await sleep(cancelTimeoutMs, undefined, { ref: false });
  throw signal.reason;
}

/** @param printer undefined where the output is not to be shown as it comes */
async function follow(
  client: Client,
  prediction: PredictionAnswer,
  printer: Printer | undefined,
  signal: AbortSignal,
): Promise<PredictionAnswer> {
  const progress = new Progress(quietMs);
  const follower: Follower = {
    onOutput: (text) => {
      progress.stop();
      printer?.show(text);
    },
    onLogs: (text) => progress.print(text),
    onLook: ({ status, waiting }) => {
      // A living line would write over output that has no end of line yet.
      if (printer?.began) return;
      if (status === 'processing') progress.update('running');
      else if (waiting) {
        const { message, detail } = describeWaiting(waiting);
        progress.update(message, detail);
      } else progress.update('starting');
    },
  };
  try {
    const streamUrl = prediction.urls?.stream;
    return printer && streamUrl && !hasEnded(prediction)
      ? await followByStream(client, prediction, streamUrl, follower, signal)
      : await followByAsking(client, prediction, follower, signal);
  } finally {
    progress.stop();
  }
}

interface Showing {
  readonly options: RunOptions;
  readonly model: ModelInterface | undefined;
  readonly printer: Printer;
  readonly destination: Destination | undefined;
  readonly signal: AbortSignal;
}

/** Shows the output of a prediction that has ended, and says how it ended. */
async function conclude(prediction: PredictionAnswer, showing: Showing): Promise<void> {
  const { options, model, printer, destination } = showing;
  if (options.json) print(JSON.stringify(prediction, null, 2));
  const { output } = prediction;
  if (output !== null && output !== undefined && (!options.json || destination)) {
    const to = destination ?? { folder: '.' };
    const saved = model ? await saveFiles(output, model, to, showing.signal) : { output, paths: [] };
    if (saved.paths.length > 0) say(`Saved ${saved.paths.join(', ')}`);
    else if (destination) say(`Saved ${await saveText(output, printer, destination)}`);
    if (!options.json && (!destination || saved.paths.length > 0)) printer.finish(saved.output);
  }
  say(summarize(prediction));
  if (prediction.status !== 'succeeded') throw new CliError(explainFailure(prediction), exitCodes.failure);
}

async function saveText(output: unknown, printer: Printer, to: Destination): Promise<string> {
  const text = `${printer.render(output)}\n`;
  if ('folder' in to) {
    const extension = typeof output === 'string' || printer.concatenates ? 'txt' : 'json';
    return writeNew(join(to.folder, `output.${extension}`), text);
  }
  await writeFile(to.file, text);
  return to.file;
}

/** Puts a prediction's output on stdout, each part of it once. */
class Printer {
  readonly concatenates: boolean;
  #shown: string[] = [];

  constructor(concatenates: boolean) {
    this.concatenates = concatenates;
  }

  get began(): boolean {
    return this.#shown.length > 0;
  }

  /** Shows one element of the output as it comes. */
  show(text: string): void {
    this.#shown.push(text);
    process.stdout.write(this.concatenates ? text : `${text}\n`);
  }

  /** Shows what of the whole output was not shown yet. */
  finish(output: unknown): void {
    if (!this.began) {
      const text = this.render(output);
      if (text) process.stdout.write(text.endsWith('\n') ? text : `${text}\n`);
      return;
    }
    for (const element of Array.isArray(output) ? output.slice(this.#shown.length) : []) {
      this.show(typeof element === 'string' ? element : JSON.stringify(element));
    }
    this.stop();
  }

  /** Ends the line that was begun. */
  stop(): void {
    const last = this.#shown.findLast((text) => text !== '');
    if (this.concatenates && last !== undefined && !last.endsWith('\n')) process.stdout.write('\n');
    this.#shown = this.#shown.map(() => '');
  }

  render(output: unknown): string {
    return renderOutput(output, this.concatenates);
  }
}

/** Stops the prediction on the server, so that it costs no more. */
async function cancel(client: Client, id: string): Promise<void> {
  try {
    const signal = AbortSignal.timeout(cancelTimeoutMs);
    const prediction = await client.call('POST', `/predictions/${id}/cancel`, predictionAnswer, { signal });
    say(summarize(prediction));
  } catch {
    say(`The server did not take the cancel: prediction ${id} may still run.`);
  }
}

function checkCancelAfter(text: string | undefined): void {
  if (text === undefined || (/^(\d+|(\d+h)?(\d+m)?(\d+s)?)$/.test(text) && text !== '')) return;
  throw usageError(`--cancel-after ${text} is not a time: write 90s, 5m or 1h30m`);
}
