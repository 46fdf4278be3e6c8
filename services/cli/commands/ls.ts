import { Command } from 'commander';
import { z } from 'zod';
import { modelAnswer, versionAnswer } from '../answers.ts';
import { columns } from '../columns.ts';
import { allPages } from '../pages.ts';
import { print } from '../terminal.ts';
import { readModelName } from './model-name.ts';
import { addServerOptions, connect, type ServerOptions } from './server-options.ts';

/** Digits of a version's id that tell it from its siblings. */
const versionDigits = 12;

interface LsOptions extends ServerOptions {
  readonly json?: boolean;
}

const listedModel = modelAnswer.extend({ run_count: z.number().optional() });

/** `mimeo ls`: the models that one can run, or the versions of one. */
export function lsCommand(signal: AbortSignal): Command {
  const command = new Command('ls')
    .description('List your models and the public ones, or the versions of a model.')
    .argument('[model]', 'OWNER/NAME, to see its versions')
    .option('--json', 'print what the server tells as JSON on stdout');
  return addServerOptions(command)
    .addHelpText(
      'after',
      `
Examples:
  $ npx mimeo ls
  $ npx mimeo ls local/my-model
  $ npx mimeo ls --json | jq '.[] | {name, run_count}'`,
    )
    .action((model: string | undefined, options: LsOptions) =>
      model === undefined ? listModels(options, signal) : listVersions(model, options, signal),
    );
}

async function listModels(options: LsOptions, signal: AbortSignal): Promise<void> {
  const client = await connect(options);
  const own = await allPages(client, '/models?visibility=private', listedModel, signal);
  const shared = await allPages(client, '/models', listedModel, signal);
  // A server of an older release answers both with the public ones.
  const models = [...own.filter(({ visibility }) => visibility === 'private'), ...shared];
  if (options.json) return print(JSON.stringify(models, null, 2));
  if (models.length === 0) return print('There is no model yet. Push one: npx mimeo push DIR OWNER/NAME');
  const rows = models.map(({ owner, name, visibility, run_count: runs = 0, latest_version: latest }) => [
    `${owner}/${name}`,
    visibility ?? '',
    runs === 1 ? '1 run' : `${runs} runs`,
    latest ? latest.id.slice(0, versionDigits) : 'no version yet',
  ]);
  for (const line of columns(rows)) print(line);
}

async function listVersions(model: string, options: LsOptions, signal: AbortSignal): Promise<void> {
  const { owner, name } = readModelName(model);
  const client = await connect(options);
  const versions = await allPages(client, `/models/${owner}/${name}/versions`, versionAnswer, signal);
  if (options.json) return print(JSON.stringify(versions, null, 2));
  if (versions.length === 0) return print(`It has no version yet. Push one: npx mimeo push DIR ${model}`);
  const rows = versions.map(({ id, created_at, cog_version }) => [
    id,
    created_at?.replace(/\.\d+Z$/, 'Z') ?? '',
    cog_version ? `Cog ${cog_version}` : '',
  ]);
  for (const [at, line] of columns(rows).entries()) {
    print(line);
    for (const change of versions[at]?.breaking_changes ?? []) print(`  breaks callers: ${change}`);
  }
}
