import { Command } from 'commander';
import { accountAnswer } from '../answers.ts';
import { ApiError, Client } from '../client.ts';
import { isLoopback, rememberLogin, serverUrl } from '../config.ts';
import { usageError } from '../failure.ts';
import { readSecret, say } from '../terminal.ts';

/** `mimeo login`: remembers a server and a token for it, once the server has accepted the token. */
export function loginCommand(signal: AbortSignal): Command {
  return new Command('login')
    .description('Remember a server and your token for it; later commands then use them.')
    .argument('<url>', 'the server, as in https://mimeo.example.com')
    .option(
      '--token <token>',
      'the token (default: MIMEO_API_TOKEN, else it is asked for, or read from stdin)',
    )
    .addHelpText(
      'after',
      `
Examples:
  $ npx mimeo login https://mimeo.example.com
  $ npx mimeo login https://mimeo.example.com < token.txt`,
    )
    .action((url: string, options: { token?: string }) => login(url, options, signal));
}

async function login(typedUrl: string, options: { token?: string }, signal: AbortSignal): Promise<void> {
  const url = serverUrl(typedUrl);
  const given = options.token || process.env.MIMEO_API_TOKEN;
  const token = given || (await readSecret(`Token for ${url}: `, signal));
  if (!token) throw usageError('No token was given. Type it, pipe it in, or use --token or MIMEO_API_TOKEN.');
  if (/[^\x21-\x7e]/.test(token))
    throw usageError('A token is one word of plain characters; this is not one.');
  const account = await whoAmI(new Client({ url, token }), signal);
  const path = await rememberLogin(process.env, { url, token }, account);
  if (url.startsWith('http:') && !isLoopback(url)) {
    say(`Warning: ${url} is not encrypted; your token can be read on the way to it.`);
  }
  say(`Logged in to ${url} as ${account} (remembered in ${path}).`);
}

async function whoAmI(client: Client, signal: AbortSignal): Promise<string> {
  try {
    return (await client.call('GET', '/account', accountAnswer, { signal })).username;
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 401)) throw error;
    throw usageError(`${client.server.url} does not accept this token. Nothing was remembered.`);
  }
}
