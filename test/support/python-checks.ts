import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';

const report = join(import.meta.dirname, '../clients/python/report.py');

/** A check that was written in Python, as it went. */
export interface Check {
  readonly name: string;
  /** The class that it is in. */
  readonly suite: string;
  /** What went wrong; null where nothing did. */
  readonly problem: string | null;
}

/** The methods of a client, `folder.name` each, and which of them the checks called. */
export interface Inventory {
  readonly methods: readonly string[];
  readonly called: readonly string[];
}

/** How a file's checks went. */
export interface PythonReport {
  readonly checks: readonly Check[];
  /** Given where the file makes one. */
  readonly inventory: Inventory | undefined;
}

/**
 * Runs the checks of a file in one Python process.
 * @param bin of the Python environment
 * @param env in which the process runs, beside PATH and HOME
 */
export async function runPythonChecks(
  bin: string,
  file: string,
  env: Readonly<Record<string, string>>,
): Promise<PythonReport> {
  const { PATH, HOME } = process.env;
  const child = spawn(join(bin, 'python'), [report, file], {
    env: { PATH, HOME, PYTHONPATH: dirname(report), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const checks: Check[] = [];
  let inventory: Inventory | undefined;
  const errors = text(child.stderr);
  for await (const line of createInterface({ input: child.stdout })) {
    const said = JSON.parse(line) as Check & { readonly inventory?: Inventory };
    if (said.inventory) inventory = said.inventory;
    else checks.push(said);
  }
  if (checks.length === 0) throw new Error(`${file} ran no check:\n${await errors}`);
  return { checks, inventory };
}

/** The names of the checks that a file defines. */
export function checkNamesIn(file: string): string[] {
  const source = readFileSync(file, 'utf8');
  return [...source.matchAll(/^ {4}(?:async )?def (test_\w+)/gm)].map(([, name]) => String(name));
}
