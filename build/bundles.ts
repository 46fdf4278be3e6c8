import { globSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join, sep } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build, type OutputFile } from 'esbuild';

/** Services that Lambda runs; every other one runs in a container. */
const functions: readonly string[] = ['metering', 'webhooks', 'registrar', 'sweeper'];
/** What runs from the sources, on a machine of one's own. */
const local: readonly string[] = ['local', 'cli'];

export interface Bundle {
  /** The folder under `services`. */
  readonly service: string;
  /** A `function` exports `handler`; a `container` runs. */
  readonly kind: 'function' | 'container';
  /** `OUT/SERVICE/main.mjs` */
  readonly file: string;
  readonly bytes: number;
  /** About what Lambda loads. */
  readonly gzippedBytes: number;
}

/** Services of the cloud: every folder under `services` that has a `main.ts`. */
export function cloudServices(root: string): readonly string[] {
  return globSync('services/*/main.ts', { cwd: root })
    .map((path) => path.split(sep)[1] ?? '')
    .filter((service) => !local.includes(service))
    .sort();
}

/**
 * Bundles each service with all that it needs into one ES module. The same sources give the same bytes. Their source
 * maps lie apart, in `OUT/maps`.
 */
export async function bundleServices(root: string, outFolder: string): Promise<readonly Bundle[]> {
  await rm(outFolder, { recursive: true, force: true });
  return await Promise.all(cloudServices(root).map((service) => bundleService(root, outFolder, service)));
}

async function bundleService(root: string, outFolder: string, service: string): Promise<Bundle> {
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: [join('services', service, 'main.ts')],
    outfile: join('dist', service, 'main.mjs'),
    write: false,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    // ES modules first: of those, what is not used is left out.
    mainFields: ['module', 'main'],
    // Lines and names stay: Node shows the line that threw, and a stack trace can be read without the map.
    minifySyntax: true,
    sourcemap: 'external',
    // Paths in comments are as if node_modules lay here, wherever a link of that name leads.
    preserveSymlinks: true,
    // CommonJS packages ask for Node's own modules by `require`.
    banner: {
      js: "import{createRequire as $createRequire}from'node:module';const require=$createRequire(import.meta.url);",
    },
    logLevel: 'error',
  });
  const find = (suffix: string) => outputFiles.find(({ path }) => path.endsWith(suffix));
  const code = find('main.mjs');
  if (!code) throw new Error(`esbuild made no bundle of ${service}`);
  const file = join(outFolder, service, 'main.mjs');
  await save(file, code);
  // Not beside it: what lies there is what runs.
  await save(join(outFolder, 'maps', `${service}.mjs.map`), find('.map'));
  return {
    service,
    kind: functions.includes(service) ? 'function' : 'container',
    file,
    bytes: code.contents.byteLength,
    gzippedBytes: gzipSync(code.contents).byteLength,
  };
}

async function save(path: string, output: OutputFile | undefined): Promise<void> {
  if (!output) return;
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, output.contents);
}
