import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** How the CLI is told to hold a stack to the policies. */
export interface PolicyPackRun {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/**
 * What makes Pulumi run the pack in `policies` under a folder; nothing where there is none.
 * @param env of this process, whose NODE_OPTIONS stay
 */
export function policyPackRun(folder: string, env: NodeJS.ProcessEnv): PolicyPackRun {
  const pack = join(folder, 'policies');
  if (!existsSync(pack)) return { args: [], env: {} };
  return { args: ['--policy-pack', 'policies'], env: policyHostEnvironment(pack, env) };
}

/**
 * Variables without which Pulumi's host of policies dies on TypeScript 7; policies/without-compiler.cjs says why.
 * @param pack the folder of PulumiPolicy.yaml
 */
export function policyHostEnvironment(
  pack: string,
  { NODE_OPTIONS = '' }: NodeJS.ProcessEnv,
): Readonly<Record<string, string>> {
  // Node takes a path in quotes, with backslashes as JSON has them.
  const own = `--require ${JSON.stringify(join(pack, 'without-compiler.cjs'))}`;
  return { NODE_OPTIONS: NODE_OPTIONS === '' ? own : `${NODE_OPTIONS} ${own}` };
}
