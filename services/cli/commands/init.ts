import { copyFile, mkdir, readdir } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { Command } from 'commander';
import { usageError } from '../failure.ts';
import { quote } from '../model-interface.ts';
import { print } from '../terminal.ts';

const templates = resolve(import.meta.dirname, '../templates');

/** `mimeo init`: a Cog folder to start from. */
export function initCommand(): Command {
  return new Command('init')
    .description('Make a folder with a small Cog model to start from. Nothing is overwritten.')
    .argument('[dir]', 'the folder', '.')
    .addHelpText(
      'after',
      `
Examples:
  $ npx mimeo init my-model`,
    )
    .action(init);
}

async function init(dir: string): Promise<void> {
  const files = await readdir(templates);
  const present = await readdir(dir).catch((error: NodeJS.ErrnoException): string[] => {
    if (error.code === 'ENOENT') return [];
    throw usageError(`${dir} is not a folder that can be read (${error.code}).`);
  });
  const taken = files.filter((file) => present.includes(file));
  if (taken.length > 0) {
    throw usageError(`${dir} already has ${taken.join(', ')}; nothing was written. Choose another folder.`);
  }
  await mkdir(dir, { recursive: true });
  for (const file of files) await copyFile(join(templates, file), join(dir, file));

  const model = modelName(basename(resolve(dir)));
  print(`Made ${files.map((file) => join(dir, file)).join(', ')}.

Next:
  npx mimeo push ${quote(dir)} local/${model}
  npx mimeo run local/${model} text=Hello`);
}

/** A folder's name as a model's: lower-case, with dashes for what a model's name may not have. */
function modelName(folder: string): string {
  const name = folder.toLowerCase().replace(/[^a-z0-9._-]+/g, '-');
  return name.replace(/^[._-]+|[._-]+$/g, '').slice(0, 63) || 'my-model';
}
