import { Command } from 'commander';
import { requireDocker } from '../programs.ts';
import { logInToRegistry } from '../registry.ts';
import { say } from '../terminal.ts';
import { addServerOptions, connect, type ServerOptions } from './server-options.ts';

/** `mimeo registry`: the container registry of a server in the cloud. */
export function registryCommand(signal: AbortSignal): Command {
  const command = new Command('registry').description('Push images by hand to the registry of a server.');
  command.addCommand(
    addServerOptions(
      new Command('login').description('Let docker and cog push to your own repositories, for an hour.'),
    )
      .addHelpText(
        'after',
        `
Examples:
  $ npx mimeo registry login
  $ cog push REGISTRY/PREFIX/NAME`,
      )
      .action((options: ServerOptions) => login(options, signal)),
  );
  return command;
}

async function login(options: ServerOptions, signal: AbortSignal): Promise<void> {
  const client = await connect(options);
  await requireDocker(signal);
  const { registry, prefix, expiresAt } = await logInToRegistry(client, signal);
  say(`Docker is logged in to ${registry} until ${expiresAt.replace(/\.\d+Z$/, 'Z')}.`);
  say(
    `In a Cog folder:\n  cog push ${prefix}/NAME\nThen see what became of it:\n  npx mimeo pushes OWNER/NAME`,
  );
}
