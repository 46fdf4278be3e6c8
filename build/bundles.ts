import { globSync } from 'node:fs';
import { chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join, sep } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

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
 * Bundles services, each with all that it needs, into one ES module each. The same sources give the same bytes. Their
 * source maps lie apart, in `OUT/maps`.
 * @param services default: all of them
 */
export async function bundleServices(
  root: string,
  outFolder: string,
  services: readonly string[] = cloudServices(root),
): Promise<readonly Bundle[]> {
  await rm(outFolder, { recursive: true, force: true });
  const { outputFiles } = await build({
    absWorkingDir: root,
    // All in one go, so that what they share is read once; nothing is shared by the files that come out.
    entryPoints: Object.fromEntries(
      services.map((service) => [service, join('services', service, 'main.ts')]),
    ),
    outdir: 'dist',
    entryNames: '[name]/main',
    outExtension: { '.js': '.mjs' },
    splitting: false,
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
    // They lie in the repository, and in the packages that its lock file names.
    sourcesContent: false,
    // Paths in comments are as if node_modules lay here, wherever a link of that name leads.
    preserveSymlinks: true,
    // CommonJS packages ask for Node's own modules by `require`.
    banner: {
      js: "import{createRequire as $createRequire}from'node:module';const require=$createRequire(import.meta.url);",
    },
    logLevel: 'error',
  });
  return await Promise.all(
    services.map(async (service) => {
      const find = (name: string) => {
        const found = outputFiles.find(({ path }) => path.endsWith(join('dist', service, name)));
        if (!found) throw new Error(`esbuild made no ${name} of ${service}`);
        return found.contents;
      };
      const code = find('main.mjs');
      const file = join(outFolder, service, 'main.mjs');
      await save(file, code);
      // Not beside it: what lies there is what runs.
      await save(join(outFolder, 'maps', `${service}.mjs.map`), find('main.mjs.map'));
      const kind = functions.includes(service) ? 'function' : 'container';
      return {
        service,
        kind,
        file,
        bytes: code.byteLength,
        gzippedBytes: gzipSync(code).byteLength,
      } as const;
    }),
  );
}

async function save(path: string, contents: Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, contents);
  // Whatever the umask: the mode counts where an image's content is looked at for changes.
  await chmod(path, 0o644);
}
