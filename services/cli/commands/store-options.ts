import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import type { OperatedStore } from '../../operator.ts';
import { mimeoFolder } from '../config.ts';
import { CliError, usageError } from '../failure.ts';

/** What `addStoreOptions` adds to a command's options. */
export interface StoreOptions {
  readonly home?: string;
  readonly table?: string;
}

/** Adds the options that name the state that an operator works on. */
export function addStoreOptions(command: Command): Command {
  return command
    .option('--home <folder>', "the state of a server on this machine (default: MIMEO_HOME, or npm start's)")
    .option(
      '--table <name>',
      "the table of a platform in AWS (default: MIMEO_TABLE); takes AWS's own credentials",
    );
}

/**
 * Works on the state that the options name.
 * @throws CliError that says what is wrong with it
 */
export async function withStore<T>(
  options: StoreOptions,
  work: (store: OperatedStore) => Promise<T>,
): Promise<T> {
  const store = storeOf(options);
  try {
    return await work(store);
  } catch (error) {
    const { name, message } = error as Error;
    if ('home' in store) throw new CliError(message);
    throw new CliError(
      `The table ${store.tableName} cannot be used (${name}: ${message}). ` +
        'Check its name, AWS_REGION, and that your AWS credentials may read it.',
    );
  }
}

function storeOf({ home, table }: StoreOptions): OperatedStore {
  if (home !== undefined && table !== undefined) throw usageError('Name a folder or a table, not both.');
  const tableName = table ?? (home === undefined ? process.env.MIMEO_TABLE : undefined);
  if (tableName) return { tableName };
  const named = home ?? process.env.MIMEO_HOME;
  if (named) return { home: resolve(named) };
  const here = resolve('.mimeo');
  return { home: existsSync(here) ? here : join(mimeoFolder, '.mimeo') };
}
