import type { Command } from 'commander';
import { Client } from '../client.ts';
import { resolveServer } from '../config.ts';

/** What `addServerOptions` adds to a command's options. */
export interface ServerOptions {
  readonly url?: string;
  readonly token?: string;
}

/** Adds the options that name a server. */
export function addServerOptions(command: Command): Command {
  return command
    .option('--url <url>', 'the server (default: MIMEO_URL, the last login, or the one on this machine)')
    .option('--token <token>', "the token (default: MIMEO_API_TOKEN, or the server's remembered one)");
}

/** The API of the server that the options, the environment or a login name. */
export async function connect(options: ServerOptions): Promise<Client> {
  return new Client(await resolveServer({ url: options.url, token: options.token, env: process.env }));
}
