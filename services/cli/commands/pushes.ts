import { Command } from 'commander';
import { columns } from '../columns.ts';
import { print } from '../terminal.ts';
import { readModelName } from './model-name.ts';
import { pushesAnswer } from './push-image.ts';
import { addServerOptions, connect, type ServerOptions } from './server-options.ts';

interface PushesOptions extends ServerOptions {
  readonly json?: boolean;
}

/** `mimeo pushes`: what became of images that were pushed. */
export function pushesCommand(signal: AbortSignal): Command {
  const command = new Command('pushes')
    .description('See what became of the images that were pushed for a model of yours, the newest first.')
    .argument('<owner/name>', 'the model')
    .option('--json', 'print what the server tells as JSON on stdout');
  return addServerOptions(command).action((model: string, options: PushesOptions) =>
    listPushes(model, options, signal),
  );
}

async function listPushes(model: string, options: PushesOptions, signal: AbortSignal): Promise<void> {
  const { owner, name } = readModelName(model);
  const client = await connect(options);
  const { results } = await client.call('GET', `/models/${owner}/${name}/pushes`, pushesAnswer, { signal });
  if (options.json) return print(JSON.stringify(results, null, 2));
  if (results.length === 0) return print(`No image was pushed for ${model} in the last 30 days.`);
  const rows = results.map(({ created_at, status, tag, digest }) => [
    created_at.replace(/\.\d+Z$/, 'Z'),
    status,
    tag ?? '-',
    digest,
  ]);
  for (const [at, line] of columns(rows).entries()) {
    const push = results[at];
    print(line);
    print(`  ${push?.reason ?? `version ${push?.version ?? 'unknown'}`}`);
  }
}
