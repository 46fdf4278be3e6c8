import { z } from 'zod';
import type { RunProgram } from './machine.ts';

/** What a stack's outputs name that was made while it ran; all optional, because a stack may have half come up. */
const outputsSchema = z.object({
  queuePrefix: z.string().optional(),
  registry: z.string().optional(),
  kubeconfig: z.string().optional(),
});

/** A stack's outputs that commands go by. */
export type StackOutputs = z.infer<typeof outputsSchema>;

const stateSchema = z.object({
  deployment: z.object({
    resources: z
      .array(
        z.object({
          urn: z.string(),
          type: z.string(),
          id: z.string().optional(),
          custom: z.boolean().optional(),
          protect: z.boolean().optional(),
          retainOnDelete: z.boolean().optional(),
          inputs: z.record(z.string(), z.unknown()).optional(),
        }),
      )
      .optional(),
  }),
});

/** Something that a teardown leaves. */
export interface KeptResource {
  readonly type: string;
  /** Logical name. */
  readonly name: string;
  /** What AWS calls it. */
  readonly id: string;
  /** `protected`: Pulumi refuses to delete it. `retained`: Pulumi forgets it and leaves it. */
  readonly why: 'protected' | 'retained';
}

/** Inputs by which AWS refuses to delete a resource: of the cluster, the load balancer and the table. */
const deletionProtections = ['deletionProtection', 'enableDeletionProtection', 'deletionProtectionEnabled'];

/** What Pulumi knows of one stack. */
export interface StackState {
  readonly outputs: StackOutputs;
  readonly kept: readonly KeptResource[];
  /** Logical names of what a teardown would delete, and AWS refuses to. */
  readonly refusing: readonly string[];
  /** Resources that stand, without components. */
  readonly count: number;
}

/**
 * Whether there is a stack of that name.
 * @throws Error with what Pulumi said, where it cannot be asked
 */
export async function hasStack(root: string, environment: string, run: RunProgram): Promise<boolean> {
  return (await ask(root, environment, run, 'export')) !== undefined;
}

/** What `pulumi stack …` says, which is JSON; undefined where there is no such stack. */
async function ask(
  root: string,
  environment: string,
  run: RunProgram,
  ...args: readonly string[]
): Promise<unknown> {
  const all = ['--non-interactive', 'stack', ...args, '--stack', environment];
  const { code, stdout, stderr } = await run('pulumi', all, { cwd: root });
  if (code === 0) return JSON.parse(stdout);
  if (/no stack named/.test(stderr)) return undefined;
  throw new Error(`pulumi stack ${args.join(' ')} ended with ${code}: ${stderr.trim()}`);
}

/**
 * Asks Pulumi for a stack's state.
 * @returns undefined where there is no such stack
 * @throws Error with what Pulumi said, where it cannot be asked
 */
export async function readStackState(
  root: string,
  environment: string,
  run: RunProgram,
): Promise<StackState | undefined> {
  const exported = await ask(root, environment, run, 'export');
  if (exported === undefined) return undefined;
  const { resources = [] } = stateSchema.parse(exported).deployment;
  const standing = resources.filter(({ custom, type }) => custom && !type.startsWith('pulumi:'));
  return {
    outputs: outputsSchema.parse(await ask(root, environment, run, 'output', '--json')),
    count: standing.length,
    kept: standing
      .filter(({ protect, retainOnDelete }) => protect || retainOnDelete)
      .map(({ urn, type, id = '', protect }) => ({
        type,
        name: nameOf(urn),
        id,
        why: protect ? 'protected' : 'retained',
      })),
    refusing: standing
      .filter(({ retainOnDelete, inputs }) => !retainOnDelete && refusesDeletion(inputs))
      .map(({ urn }) => nameOf(urn)),
  };
}

function nameOf(urn: string): string {
  return urn.split('::').at(-1) ?? urn;
}

function refusesDeletion(inputs: Readonly<Record<string, unknown>> = {}): boolean {
  return deletionProtections.some((name) => inputs[name] === true);
}
