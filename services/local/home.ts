import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { newToken } from '../core/ids.ts';

/** The files of one machine's state, under `$MIMEO_HOME`. */
export interface Home {
  readonly root: string;
  /** Signs URLs and fleet tokens. */
  readonly signingKey: Buffer;
  /** The API token of the account `local`. */
  readonly token: string;
  /** Lets another process use the folder. */
  release(): Promise<void>;
}

/**
 * Opens the folder for this process alone, and makes the keys that are missing.
 * @throws Error that names the file and says how to mend it
 */
export async function openHome(root: string): Promise<Home> {
  await makeFolder(root);
  const release = await lock(root);
  const signingKey = await secretFile(join(root, 'signing.key'), () => randomBytes(32).toString('base64'));
  const token = await secretFile(join(root, 'token'), newToken);
  return { root, signingKey: Buffer.from(signingKey, 'base64'), token, release };
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

/** Two processes on one folder would take each other's jobs. A lock whose process is gone is taken over. */
async function lock(root: string): Promise<() => Promise<void>> {
  const path = join(root, 'pid');
  for (;;) {
    try {
      await writeFile(path, String(process.pid), { flag: 'wx' });
      return async () => rm(path, { force: true });
    } catch (error) {
      if (!isCode(error, 'EEXIST')) throw new Error(`${path} cannot be written (${reason(error)}).`);
    }
    const holder = Number(await readFile(path, 'utf8').catch(() => '0'));
    if (isAlive(holder)) {
      throw new Error(
        `Mimeo already runs on ${root} as process ${holder}. Stop it, or set MIMEO_HOME to another folder.`,
      );
    }
    await rm(path, { force: true });
  }
}

function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0 || pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return isCode(error, 'EPERM');
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
