import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import type { RunProgram } from './machine.ts';
import type { StackOutputs } from './stack-state.ts';

/** The label of pods that the director makes, which are nobody else's. */
export const directorLabel = 'app.kubernetes.io/managed-by=mimeo-director';

const podsSchema = z.object({
  items: z.array(z.object({ metadata: z.object({ name: z.string(), namespace: z.string() }) })),
});

/** Models' instances that still run: `namespace/name`; or why they cannot be seen. */
export type InstancePods = readonly string[] | { readonly problem: string };

/**
 * Lists the director's pods, in the cluster that the stack's own command leads to and in no other. They end with their
 * nodes, whatever comes of this.
 * @param isRemoving removes them too, without waiting for them
 */
export async function findInstancePods(
  { kubeconfig }: StackOutputs,
  run: RunProgram,
  isRemoving = false,
): Promise<InstancePods> {
  if (!kubeconfig) return { problem: 'the stack has no cluster' };
  const folder = await mkdtemp(join(tmpdir(), 'mimeo-kubeconfig-'));
  try {
    const file = join(folder, 'config');
    const [command = '', ...words] = kubeconfig.split(' ');
    const written = await run(command, [...words, '--kubeconfig', file]);
    if (written.code !== 0) return { problem: lastLine(written.stderr) };
    const select = ['--kubeconfig', file, '--all-namespaces', '--selector', directorLabel];
    const listed = await run('kubectl', [
      'get',
      'pods',
      ...select,
      '--output',
      'json',
      '--request-timeout',
      '10s',
    ]);
    if (listed.code !== 0) return { problem: lastLine(listed.stderr) };
    const pods = podsSchema.parse(JSON.parse(listed.stdout)).items.map(({ metadata }) => metadata);
    if (isRemoving && pods.length > 0) {
      const removed = await run('kubectl', ['delete', 'pods', ...select, '--wait=false']);
      if (removed.code !== 0) return { problem: lastLine(removed.stderr) };
    }
    return pods.map(({ namespace, name }) => `${namespace}/${name}`).sort();
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? '';
}
