import { execFile } from 'node:child_process';
import { access, mkdir, mkdtemp, rename, rm, symlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const repository = resolve(import.meta.dirname, '../..');
const cache = join(repository, '.cache/test-releases');

/** What a rolling upgrade comes from; to be moved on with each release. */
export const releaseBefore = {
  /** The last one that ran on one machine only. */
  oneMachine: 'e5031da',
  /** The first whose api runs over the cloud's stores. */
  cloud: '43c090d',
} as const;

/** The folder of a release's sources, out of the repository's own history, with the packages of today. */
export async function sourcesOf(commit: string): Promise<string> {
  const folder = join(cache, commit);
  const isThere = await access(folder).then(
    () => true,
    () => false,
  );
  if (isThere) return folder;
  await mkdir(cache, { recursive: true });
  const made = await mkdtemp(join(cache, 'making-'));
  try {
    const archive = join(made, 'sources.tar');
    const parts = ['services', 'examples', 'package.json', 'tsconfig.json'];
    await run('git', ['-C', repository, 'archive', '--output', archive, commit, ...parts]);
    await run('tar', ['-x', '-f', archive, '-C', made]);
    await rm(archive);
    await symlink(join(repository, 'node_modules'), join(made, 'node_modules'));
    // Of test files that want it at once, one comes first.
    await rename(made, folder).catch(async () => access(folder));
    return folder;
  } finally {
    await rm(made, { recursive: true, force: true });
  }
}
