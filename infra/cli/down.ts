import { findInstancePods, type InstancePods } from './instance-pods.ts';
import type { RunProgram } from './machine.ts';
import { RemnantStore, type Remnants } from './remnants.ts';
import type { KeptResource, StackState } from './stack-state.ts';

/** What a teardown needs of its surroundings. */
export interface DownOptions {
  readonly region: string;
  readonly environment: string;
  readonly state: StackState;
  /** Whether the configuration protects what it holds: `protection.deletion`. */
  readonly isProtected: boolean;
  readonly run: RunProgram;
  /** A line for the person at the terminal. */
  readonly say: (line: string) => void;
  /** Whether to go on, once everything has been listed. */
  readonly confirm: () => Promise<boolean>;
  /** Runs `pulumi destroy` with these arguments, for the person to see. @returns its exit code */
  readonly destroy: (args: readonly string[], env: Readonly<Record<string, string>>) => Promise<number>;
}

/**
 * Takes an environment down: first the stack, then what the running platform made by itself, so that nobody's images are
 * gone where the stack would not go. Says beforehand what goes, and at the end what stays. Refuses at once where
 * something is protected: half of a platform is of no use to anybody.
 * @returns an exit code: 0, what Pulumi ended with, or 1 where the person said no, it was refused or something is left
 */
export async function takeDown(options: DownOptions): Promise<number> {
  const { state, run, say, region } = options;
  const refusal = refusalLines(options);
  for (const line of refusal) say(line);
  if (refusal.length > 0) return 1;
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
    const code = await options.destroy(destroyArgs(state.kept), {
      // The cluster goes with the stack: what was in it need not be asked for where it has gone before.
      PULUMI_K8S_DELETE_UNREACHABLE: 'true',
    });
    if (code !== 0) return code;
    if (!(await removeRemnants(store, remnants, say))) return 1;
    say(`${options.environment} is down.`);
    for (const line of keptLines(state.kept)) say(line);
    return 0;
  } finally {
    store.close();
  }
}

/** Why it is not begun at all; nothing where it may. */
function refusalLines({ environment, isProtected, state }: DownOptions): readonly string[] {
  if (!isProtected && state.refusing.length === 0) return [];
  const why = isProtected
    ? `mimeo:protection has deletion: true in Pulumi.${environment}.yaml`
    : `AWS still refuses to delete ${state.refusing.join(', ')}`;
  const switchOff = isProtected ? 'set mimeo:protection: { deletion: false } there, then ' : '';
  // In prod the policy deletion-protection stands in its way, as it should.
  const up = `npm run up -- ${environment} (with --no-policies where a policy forbids it)`;
  return [
    `${environment} is protected: ${why}. Nothing was changed.`,
    `To take it down all the same: ${switchOff}${up}, then npm run down -- ${environment}.`,
  ];
}

/**
 * Removes what the platform made until it was gone, which may be more than was listed before.
 * @param known what was listed before, for the person to remove where this fails: the stack knows of it no more
 * @returns whether all is gone
 */
async function removeRemnants(
  store: RemnantStore,
  known: Remnants,
  say: DownOptions['say'],
): Promise<boolean> {
  try {
    await store.remove(await store.list());
    return true;
  } catch (error) {
    say(`The stack is gone, but not all that it made: ${error instanceof Error ? error.message : error}`);
    say('Remove what is left of these by hand:');
    for (const name of [...known.queues, ...known.repositories]) say(`  ${name}`);
    return false;
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
