import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import { usageError } from './failure.ts';

/** A server and the token for it. */
export interface Server {
  /** Without `/v1` and without a slash at its end. */
  readonly url: string;
  readonly token: string;
}

/** What `--url` and `--token` gave, and the environment to look in. */
export interface Wanted {
  readonly url?: string;
  readonly token?: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

const rememberedSchema = z.object({
  current: z.string().nullable(),
  servers: z.record(z.string(), z.object({ token: z.string(), username: z.string() })),
});
type Remembered = z.infer<typeof rememberedSchema>;

/** The folder of Mimeo itself, where `npm start` keeps its state unless MIMEO_HOME says otherwise. */
export const mimeoFolder = resolve(import.meta.dirname, '../..');

/** Where logins are remembered. */
function configPath(env: Wanted['env']): string {
  return join(env.XDG_CONFIG_HOME || join(homedir(), '.config'), 'mimeo', 'config.json');
}

/**
 * The server to talk to: flags, then MIMEO_URL and MIMEO_API_TOKEN, then the remembered login, then the server on
 * this machine. A remembered token goes only to the server that it was remembered for.
 * @throws CliError where no token is known for the server
 */
export async function resolveServer(wanted: Wanted): Promise<Server> {
  const { env } = wanted;
  const remembered = await readRemembered(env);
  const local = `http://127.0.0.1:${env.MIMEO_PORT || '8080'}`;
  const named = wanted.url || env.MIMEO_URL;
  const url = named ? serverUrl(named) : (remembered.current ?? local);
  const token = wanted.token || env.MIMEO_API_TOKEN || remembered.servers[url]?.token;
  if (token) return { url, token };
  if (!isLoopback(url)) {
    throw usageError(`There is no token for ${url}. Log in first: npx mimeo login ${url}`);
  }
  return { url, token: await localToken(env, url) };
}

/**
 * A server's URL as it is kept: with its scheme, without `/v1`, query or a slash at its end.
 * @throws CliError where it is no http or https URL
 */
export function serverUrl(text: string): string {
  const url = URL.parse(text);
  if (!url || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw usageError(`"${text}" is not a server's URL. Write it as https://mimeo.example.com`);
  }
  return `${url.origin}${url.pathname.replace(/\/+(v1\/*)?$/, '')}`;
}

/** Whether a URL leads to this machine, where a token does not travel over a network. */
export function isLoopback(url: string): boolean {
  const { hostname } = new URL(url);
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d+){3}$/.test(hostname);
}

/** Remembers a login and makes its server the current one; the file can be read by its owner only. */
export async function rememberLogin(env: Wanted['env'], server: Server, username: string): Promise<string> {
  const path = configPath(env);
  const { servers } = await readRemembered(env);
  const next: Remembered = {
    current: server.url,
    servers: { ...servers, [server.url]: { token: server.token, username } },
  };
  const draft = `${path}.${process.pid}`;
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await writeFile(draft, `${JSON.stringify(next, null, 2)}\n`, { mode: 0o600 });
  await rename(draft, path);
  return path;
}

/** The server of the last login, with its token; undefined where nobody has logged in. */
export async function rememberedServer(env: Wanted['env']): Promise<Server | undefined> {
  const { current, servers } = await readRemembered(env);
  const token = current === null ? undefined : servers[current]?.token;
  return current !== null && token !== undefined ? { url: current, token } : undefined;
}

async function readRemembered(env: Wanted['env']): Promise<Remembered> {
  const path = configPath(env);
  const text = await readIfThere(path);
  if (text === undefined) return { current: null, servers: {} };
  try {
    return rememberedSchema.parse(JSON.parse(text));
  } catch {
    throw usageError(`${path} is damaged. Remove it and log in again: npx mimeo login URL`);
  }
}

/** The token that the server on this machine wrote when it first started. */
async function localToken(env: Wanted['env'], url: string): Promise<string> {
  const homes = env.MIMEO_HOME ? [resolve(env.MIMEO_HOME)] : [resolve('.mimeo'), join(mimeoFolder, '.mimeo')];
  const paths = homes.map((home) => join(home, 'token'));
  for (const path of paths) {
    const token = (await readIfThere(path))?.trim();
    if (token) return token;
  }
  throw usageError(
    `There is no token for ${url}: no ${paths.join(' and no ')}. ` +
      'Start the server on this machine (npm start), or log in to another one: npx mimeo login URL',
  );
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw usageError(`${path} cannot be read (${code}).`);
  }
}
