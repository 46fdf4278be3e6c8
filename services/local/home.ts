import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { newToken } from '../core/ids.ts';

/** The files of one machine's state, under `$MIMEO_HOME`. */
export interface Home {
  readonly root: string;
  /** Signs URLs and fleet tokens. */
  readonly signingKey: Buffer;
  /** The API token of the account `local`. */
  readonly token: string;
}

/**
 * Opens the folder and makes the keys that are missing. What keeps a second process out is the lock that the queue's
 * file holds while it is open, and that the system takes back however its process ends.
 * @throws Error that names the file and says how to mend it
 */
export async function openHome(root: string): Promise<Home> {
  await makeFolder(root);
  const signingKey = await secretFile(join(root, 'signing.key'), () => randomBytes(32).toString('base64'));
  const token = await secretFile(join(root, 'token'), newToken);
  return { root, signingKey: Buffer.from(signingKey, 'base64'), token };
}

async function makeFolder(root: string): Promise<void> {
  try {
    await mkdir(root, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new Error(
      `The state folder ${root} cannot be made (${reason(error)}). Set MIMEO_HOME to a folder of yours.`,
    );
  }
}

async function secretFile(path: string, make: () => string): Promise<string> {
  try {
    const text = (await readFile(path, 'utf8')).trim();
    if (text !== '') return text;
  } catch (error) {
    if (!isCode(error, 'ENOENT'))
      throw new Error(`${path} cannot be read (${reason(error)}). Make it readable, or remove it.`);
  }
  const secret = make();
  await writeFile(path, `${secret}\n`, { mode: 0o600 });
  return secret;
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
