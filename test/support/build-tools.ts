import { buildGoTool, engineTools, kubernetesTools } from './go-tools.ts';

/** `npm run build:tools`: builds what the engine's and the cluster's suites run, where it is not there yet. */
try {
  for (const name of [...engineTools, ...kubernetesTools]) {
    console.log(`${name}: ${await buildGoTool(name, console.log)}`);
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
