import { Command } from 'commander';
import { z } from 'zod';
import { jobIdPattern } from '../../core/ids.ts';
import { hasEnded, predictionAnswer } from '../answers.ts';
import { ApiError, type Client } from '../client.ts';
import { type CliError, usageError } from '../failure.ts';
import { say } from '../terminal.ts';
import { summarize } from '../verdict.ts';
import { readTarget } from './model-name.ts';
import { addServerOptions, connect, type ServerOptions } from './server-options.ts';

/** `mimeo rm`: stops a prediction, or deletes a model or one of its versions. */
export function rmCommand(signal: AbortSignal): Command {
  const command = new Command('rm')
    .description('Stop a prediction, or delete a version or a model.')
    .argument('<what>', 'a prediction, owner/name:version or owner/name');
  return addServerOptions(command)
    .addHelpText(
      'after',
      `
A prediction that is stopped stays listed, and costs nothing from then on. A model can be deleted once it has no
versions. There is no undo. Its disk space is free within two minutes after nothing runs from it any more.

Examples:
  $ npx mimeo rm mhtmkdb4mbaw7pc5dyyfc4qsbe
  $ npx mimeo rm local/my-model:5c7d5dc6dd8bf75c1acaa8565735e7986bc5b66206b55cca93cb72c9bf15ccaa
  $ npx mimeo rm local/my-model`,
    )
    .action((target: string, options: ServerOptions) => rm(target, options, signal));
}

async function rm(target: string, options: ServerOptions, signal: AbortSignal): Promise<void> {
  if (target.includes('/')) {
    const { name, versionId } = readTarget(target);
    return removeModel(await connect(options), name, versionId, signal);
  }
  if (!jobIdPattern.test(target)) {
    throw usageError(
      `"${target}" is neither a prediction (26 lower-case letters and digits) nor a model (OWNER/NAME).`,
    );
  }
  await stopPrediction(await connect(options), target, signal);
}

async function stopPrediction(client: Client, id: string, signal: AbortSignal): Promise<void> {
  const before = await client.call('GET', `/predictions/${id}`, predictionAnswer, { signal });
  if (hasEnded(before)) return say(`It had ended already: ${summarize(before)}`);
  const after = await client.call('POST', `/predictions/${id}/cancel`, predictionAnswer, { signal });
  say(summarize(after));
}

async function removeModel(
  client: Client,
  model: string,
  versionId: string | undefined,
  signal: AbortSignal,
): Promise<void> {
  const path = versionId === undefined ? `/models/${model}` : `/models/${model}/versions/${versionId}`;
  const what = versionId === undefined ? model : `${model}:${versionId.slice(0, 12)}…`;
  try {
    await client.call('DELETE', path, z.unknown(), { signal });
  } catch (error) {
    throw error instanceof ApiError ? explain(error, what, client.server.url) : error;
  }
  say(`Deleted ${what}.`);
}

function explain(error: ApiError, what: string, serverUrl: string): CliError {
  if (error.status === 405) {
    return usageError(
      `${serverUrl} deletes no models: it is of an older release. Update it (git pull) first.`,
    );
  }
  if (error.status === 404) return usageError(`There is no ${what} of yours on ${serverUrl}.`);
  return error;
}
