import { rm } from 'node:fs/promises';
import { join } from 'node:path';

/** Where coglet makes a folder for each run's files, which it never removes: 13 million runs filled a disk. */
const folder = '/tmp/coglet/predictions';

/** Removes what coglet has kept of a run, where its disk is this one. @param id as its server was given it */
export async function removeRunFiles(id: string): Promise<void> {
  if (!/^[\w-]+$/.test(id)) return;
  await rm(join(folder, id), { recursive: true, force: true }).catch(() => {});
}
