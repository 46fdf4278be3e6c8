import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { newFolder } from './command.ts';

/** What stands in for Docker and Cog here, and what became of it. */
export interface Programs {
  readonly env: Readonly<Record<string, string>>;
  /** Each call, its arguments in brackets. */
  calls(): Promise<string[]>;
  stdin(): Promise<string>;
}

/** A PATH with a shell, Node and a docker and a cog that note how they are called; each as a script may change. */
export async function programs(
  scripts: { readonly docker?: string | null; readonly cog?: string | null } = {},
): Promise<Programs> {
  const folder = await newFolder();
  const notes = join(folder, 'notes');
  const stdin = join(folder, 'stdin');
  for (const [name, script] of Object.entries({ docker: '', cog: '', ...scripts })) {
    if (script === null) continue;
    const path = join(folder, name);
    const note = `printf '%s' "${name}" >> ${notes}; printf '[%s]' "$@" >> ${notes}; echo >> ${notes}`;
    const login = `if [ "$1" = login ]; then /bin/cat > ${stdin}; fi`;
    await writeFile(path, `#!/bin/sh\n${note}\n${login}\n${script}\n`);
    await chmod(path, 0o755);
  }
  return {
    env: { PATH: folder, MIMEO_TEST_NOTES: notes },
    calls: async () => (await readFile(notes, 'utf8').catch(() => '')).split('\n').slice(0, -1),
    stdin: () => readFile(stdin, 'utf8'),
  };
}
