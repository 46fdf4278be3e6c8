import { findInstancePods, type InstancePods } from './instance-pods.ts';
import type { RunProgram } from './machine.ts';
import { RemnantStore, type Remnants } from './remnants.ts';
import type { KeptResource, StackState } from './stack-state.ts';

/** What a teardown needs of its surroundings. */
export interface DownOptions {
  readonly region: string;
  readonly environment: string;
  readonly state: StackState;
  readonly run: RunProgram;
  /** A line for the person at the terminal. */
  readonly say: (line: string) => void;
  /** Whether to go on, once everything has been listed. */
  readonly confirm: () => Promise<boolean>;
  /** Runs `pulumi destroy` with these arguments, for the person to see. @returns its exit code */
  readonly destroy: (args: readonly string[], env: Readonly<Record<string, string>>) => Promise<number>;
}

/**
 * Takes an environment down: first what the running platform made by itself, then the stack, then what the platform made
 * while it went. Says beforehand what goes, and at the end what stays.
 * @returns an exit code: 0, what Pulumi ended with, or 1 where the person said no
 */
export async function takeDown(options: DownOptions): Promise<number> {
  const { state, run, say, region } = options;
  const store = new RemnantStore(region, state.outputs);
  try {
    const remnants = await store.list();
    const pods = await findInstancePods(state.outputs, run);
    for (const line of goingLines(state.count, remnants, pods)) say(line);
    for (const line of keptLines(state.kept)) say(line);
    if (!(await options.confirm())) {
      say('Nothing was changed.');
      return 1;
    }
    if (!('problem' in pods) && pods.length > 0) await findInstancePods(state.outputs, run, true);
    await store.remove(remnants);
    const code = await options.destroy(destroyArgs(state.kept), {
      // The cluster goes with the stack: what was in it need not be asked for where it has gone before.
      PULUMI_K8S_DELETE_UNREACHABLE: 'true',
    });
    if (code !== 0) return code;
    // The api still made queues, and ECR repositories, until it was gone.
    const late = await store.list();
    await store.remove(late);
    say(`${options.environment} is down.`);
    for (const line of keptLines(state.kept)) say(line);
    return 0;
  } finally {
    store.close();
  }
}

function destroyArgs(kept: readonly KeptResource[]): readonly string[] {
  return kept.some(({ why }) => why === 'protected') ? ['--exclude-protected'] : [];
}

function goingLines(
  count: number,
  { queues, repositories }: Remnants,
  pods: InstancePods,
): readonly string[] {
  const named = (title: string, names: readonly string[]) =>
    names.length === 0 ? [] : [`${title}:`, ...names.map((name) => `  ${name}`)];
  return [
    `${count} resources of the stack.`,
    ...named('Queues of pools, made as they were called', queues),
    ...named("Models' repositories with all their images", repositories),
    ...('problem' in pods
      ? [`Models' instances cannot be listed (${pods.problem}); they end with their nodes.`]
      : named("Models' instances", pods)),
  ];
}

function keptLines(kept: readonly KeptResource[]): readonly string[] {
  if (kept.length === 0) return ['Nothing is kept.'];
  return [
    'Kept, and paid for until you delete it:',
    ...kept.map(({ type, name, id, why }) => `  ${type} ${name} (${id}): ${why}`),
  ];
}
