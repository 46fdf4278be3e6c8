import { join } from 'node:path';
import { bundleServices } from '../build/bundles.ts';
import { readProgramConfig } from './program-config.ts';

/** What `pulumi up` runs: one environment of the platform, by what its Pulumi.<environment>.yaml says. */
const root = join(import.meta.dirname, '..');
const config = readProgramConfig();
const bundles = join(root, 'dist');
await bundleServices(root, bundles);

// Only now: a mistake in the configuration is said at once, and not after the seconds that AWS's package takes to load.
const { createStack } = await import('./stack.ts');

/** What `pulumi stack output` shows; infra/stack.ts says what each is. */
export const { url, firstToken, kubeconfig, registry, dashboard, table, queuePrefix, deadLetterArn } =
  await createStack({ config, bundles });
