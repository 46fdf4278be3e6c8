import { Command } from 'commander';
import { jobIdPattern } from '../../core/ids.ts';
import { hasEnded, predictionAnswer, setupLogsAnswer } from '../answers.ts';
import type { Client } from '../client.ts';
import { usageError } from '../failure.ts';
import { followByAsking } from '../follow.ts';
import { shortId } from '../pools.ts';
import { print, say } from '../terminal.ts';
import { explainFailure, summarize } from '../verdict.ts';
import { readModelName } from './model-name.ts';
import { addServerOptions, connect, type ServerOptions } from './server-options.ts';

interface LogsOptions extends ServerOptions {
  readonly follow?: boolean;
  readonly setup?: boolean;
  readonly json?: boolean;
}

/** `mimeo logs`: what a prediction printed, or the setups of a model's instances. */
export function logsCommand(signal: AbortSignal): Command {
  const command = new Command('logs')
    .description("Print what a prediction has printed, or with --setup what a model's setups have.")
    .argument('<prediction | owner/name>', "a prediction's id; with --setup a model")
    .option('-f, --follow', 'go on printing until the prediction has ended')
    .option('--setup', 'of the setups of the instances that serve the model')
    .option('--json', 'print the logs with what they belong to as JSON on stdout');
  return addServerOptions(command)
    .addHelpText(
      'after',
      `
The logs go to stdout; what became of the prediction goes to stderr. The end of what a setup printed is kept.

Examples:
  $ npx mimeo logs mhtmkdb4mbaw7pc5dyyfc4qsbe --follow
  $ npx mimeo logs local/my-model --setup`,
    )
    .action((target: string, options: LogsOptions) => logs(target, options, signal));
}

async function logs(target: string, options: LogsOptions, signal: AbortSignal): Promise<void> {
  if (options.setup) {
    if (options.follow)
      throw usageError('--follow is for a prediction; for setups there is: npx mimeo ps -w');
    const { owner, name } = readModelName(target);
    return showSetups(await connect(options), `${owner}/${name}`, options, signal);
  }
  if (target.includes('/')) {
    throw usageError(`${target} is a model. For the logs of its setups: npx mimeo logs ${target} --setup`);
  }
  if (!jobIdPattern.test(target)) {
    throw usageError(`"${target}" is not a prediction's id: ids have 26 lower-case letters and digits.`);
  }
  if (options.follow && options.json)
    throw usageError('--json shows the logs as they are: leave --follow out.');
  await showPrediction(await connect(options), target, options, signal);
}

async function showPrediction(
  client: Client,
  id: string,
  options: LogsOptions,
  signal: AbortSignal,
): Promise<void> {
  const prediction = await client.call('GET', `/predictions/${id}`, predictionAnswer, { signal });
  if (options.json) {
    const { status, logs, error, code } = prediction;
    return print(JSON.stringify({ id, status, logs, error: error ?? null, code: code ?? null }, null, 2));
  }
  if (!options.follow) {
    write(prediction.logs ?? '');
    if (!hasEnded(prediction)) say(`It is ${prediction.status}. To go on reading: npx mimeo logs ${id} -f`);
    return;
  }
  const onLogs = (text: string) => process.stdout.write(text);
  const ended = await followByAsking(
    client,
    prediction,
    { onLogs, onOutput: () => {}, onLook: () => {} },
    signal,
  );
  say(summarize(ended));
  if (ended.status !== 'succeeded') say(explainFailure(ended));
}

async function showSetups(
  client: Client,
  model: string,
  options: LogsOptions,
  signal: AbortSignal,
): Promise<void> {
  const answer = await client.call('GET', `/models/${model}/setup-logs`, setupLogsAnswer, { signal });
  if (options.json) return print(JSON.stringify(answer, null, 2));
  if (answer.results.length === 0) {
    return say(`No instance of ${model} is up, and no setup failed lately. It is started by a prediction.`);
  }
  for (const { version, instance, phase, failure, logs } of answer.results) {
    const who = instance === null ? 'the last setup' : shortId(instance);
    say(`== ${who} of version ${version.slice(0, 12)}: ${failure ? `failed: ${failure.message}` : phase}`);
    if (logs === '') say('It has printed nothing.');
    write(logs);
  }
}

/** Logs as they are, with an end of line after the last. */
function write(text: string): void {
  if (text !== '') process.stdout.write(text.endsWith('\n') ? text : `${text}\n`);
}
