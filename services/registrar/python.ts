import { access, constants } from 'node:fs/promises';
import { delimiter, isAbsolute, join } from 'node:path';
import { z } from 'zod';
import { runCommand } from './command.ts';
import { modelEnvironment } from './process-environment.ts';

export interface Python {
  /** The interpreter itself, never a shim. */
  readonly path: string;
  /** Such as `3.12.1`. */
  readonly version: string;
  /** Whether it can make virtual environments (Debian packs that apart). */
  readonly hasVenv: boolean;
}

/** Cog 0.23 and our schema helper need it. */
const minimumMinor = 10;

const probe = `import importlib.util, json, sys
print(json.dumps({"path": sys.executable, "version": "%d.%d.%d" % sys.version_info[:3],
"hasVenv": all(importlib.util.find_spec(m) for m in ("venv", "ensurepip"))}))`;
const probeSchema = z.object({ path: z.string(), version: z.string(), hasVenv: z.boolean() });

/**
 * The Python that models run under: of the wanted `X.Y`, if PATH has it, else any from 3.10 on.
 * @param options.wanted as in `build.python_version`, such as `3.12`
 * @param options.preferred path or name that is tried before PATH's own
 * @throws Error that says how to get one
 */
export async function findPython(
  options: { readonly wanted?: string | undefined; readonly preferred?: string | undefined } = {},
): Promise<Python> {
  const { wanted, preferred } = options;
  const asked = new Map<string, Python | undefined>();
  const first = async (names: readonly string[], accept: (python: Python) => boolean) => {
    for (const path of (await Promise.all(names.map(executables))).flat()) {
      const python = asked.has(path) ? asked.get(path) : await ask(path);
      asked.set(path, python);
      if (python && isRecent(python) && accept(python)) return python;
    }
    return undefined;
  };
  const usual = [...(preferred ? [preferred] : []), 'python3'];
  const series = wanted?.split('.').slice(0, 2).join('.');
  const match = series && (await first([`python${series}`, ...usual], (found) => seriesOf(found) === series));
  if (match) return match;
  const newerFirst = [15, 14, 13, 12, 11, 10].map((minor) => `python3.${minor}`);
  const any = await first([...usual, ...newerFirst], () => true);
  if (any) return any;
  throw new Error(noPython([...asked.values()].filter((python) => python !== undefined)));
}

/** The programs of that name along PATH, first come first. */
export async function executables(name: string): Promise<string[]> {
  const candidates = isAbsolute(name)
    ? [name]
    : (process.env.PATH ?? '')
        .split(delimiter)
        .filter(Boolean)
        .map((folder) => join(folder, name));
  const checked = await Promise.all(
    candidates.map((path) =>
      access(path, constants.X_OK).then(
        () => [path],
        () => [],
      ),
    ),
  );
  return checked.flat();
}

/** `3.12` of `3.12.1`. */
export function seriesOf(python: Python): string {
  return python.version.split('.').slice(0, 2).join('.');
}

function isRecent({ version }: Python): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major === 3 && minor >= minimumMinor;
}

async function ask(path: string): Promise<Python | undefined> {
  try {
    const { exitCode, output } = await runCommand(path, ['-c', probe], {
      env: modelEnvironment(),
      timeoutMs: 20_000,
    });
    return exitCode === 0 ? probeSchema.parse(JSON.parse(output)) : undefined;
  } catch {
    // A shim without an interpreter behind it, or no Python at all: the next one is tried.
    return undefined;
  }
}

function noPython(found: readonly Python[]): string {
  const old = found.map(({ path, version }) => `${path} is ${version}`).join(', ');
  const what = old ? `only an older Python was found (${old})` : 'no Python was found on PATH';
  return (
    `Models need Python 3.${minimumMinor} or newer, and ${what}. Install it (Debian and Ubuntu: ` +
    '`sudo apt install python3 python3-venv`; macOS: `brew install python`; or https://www.python.org/downloads) ' +
    'and start again.'
  );
}
