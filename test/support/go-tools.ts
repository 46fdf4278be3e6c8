import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';

/** A program in Go that suites run, built from the modules of proxy.golang.org. */
interface GoTool {
  /** Without the `v`. */
  readonly version: string;
  /** The module that is required at that version. */
  readonly module: string;
  /** The command in it. */
  readonly package: string;
  /** Modules of Kubernetes stand in each other's folders; published, each has a version of its own. */
  readonly staging?: { readonly folder: string; readonly version: string };
}

const kubernetesStaging = { folder: './staging/src/', version: 'v0.36.3' };

/**
 * Pulumi's engine with the language host that speaks to Node (that of a later SDK is built into the CLI of Pulumi's own
 * releases, which are not on the proxy), and what a Kubernetes cluster runs beside its machines.
 */
const tools = {
  pulumi: {
    version: '3.259.0',
    module: 'github.com/pulumi/pulumi/pkg/v3',
    package: 'github.com/pulumi/pulumi/pkg/v3/cmd/pulumi',
  },
  'pulumi-language-nodejs': {
    version: '3.65.0',
    module: 'github.com/pulumi/pulumi/sdk/v3',
    package: 'github.com/pulumi/pulumi/sdk/v3/nodejs/cmd/pulumi-language-nodejs',
  },
  etcd: { version: '3.6.5', module: 'go.etcd.io/etcd/server/v3', package: 'go.etcd.io/etcd/server/v3' },
  'kube-apiserver': {
    version: '1.36.3',
    module: 'k8s.io/kubernetes',
    package: 'k8s.io/kubernetes/cmd/kube-apiserver',
    staging: kubernetesStaging,
  },
  'kube-controller-manager': {
    version: '1.36.3',
    module: 'k8s.io/kubernetes',
    package: 'k8s.io/kubernetes/cmd/kube-controller-manager',
    staging: kubernetesStaging,
  },
  'kube-scheduler': {
    version: '1.36.3',
    module: 'k8s.io/kubernetes',
    package: 'k8s.io/kubernetes/cmd/kube-scheduler',
    staging: kubernetesStaging,
  },
} as const satisfies Record<string, GoTool>;

export type GoToolName = keyof typeof tools;

/** What `npm run test:engine` and `npm run test:kubernetes` run. */
export const engineTools: readonly GoToolName[] = ['pulumi', 'pulumi-language-nodejs'];
export const kubernetesTools: readonly GoToolName[] = [
  'etcd',
  'kube-apiserver',
  'kube-controller-manager',
  'kube-scheduler',
];

const names = Object.keys(tools) as GoToolName[];
const cache = resolve(import.meta.dirname, '../../.cache/tools');
/** Go 1.21 was the first to fetch the newer toolchain that a module asks for. */
const leastGoMinor = 21;
/** What an older Go is told to fetch, as a module of the same proxy. */
const newerToolchain = '1.26.8';
/** Those of Kubernetes take longest, about 6 minutes together on 2 cores. A build that takes far longer has died. */
const buildTimeoutMs = 1_500_000;

/** The folder of a tool, which is put on PATH; the file in it has the tool's name. */
export function goToolFolder(name: GoToolName): string {
  return join(cache, `${name}-${tools[name].version}`);
}

/** Whether all of them have been built, so that a suite can run at once. */
export function haveGoTools(names: readonly GoToolName[]): boolean {
  return names.every((name) => existsSync(join(goToolFolder(name), name)));
}

/** What tells somebody whose machine lacks a tool how to have it. */
export function howToHaveGoTools(names: readonly GoToolName[]): string {
  const missing = names.filter((name) => !haveGoTools([name]));
  return `${missing.join(' and ')} must be built first: npm run build:tools (it needs Go, and takes minutes)`;
}

/**
 * Builds a tool where it is not there yet, and says so in lines as it goes. Others of its module that are not there are
 * built with it, so that what they share is fetched and compiled once.
 * @returns its path
 * @throws Error where there is no Go, or the build fails, with what the compiler said
 */
export async function buildGoTool(name: GoToolName, say: (line: string) => void): Promise<string> {
  const folder = goToolFolder(name);
  const file = join(folder, name);
  const until = Date.now() + buildTimeoutMs;
  const of = names.filter((other) => sourceOf(other) === sourceOf(name));
  const work = `${goToolFolder(of[0] ?? name)}.building`;
  while (!existsSync(file)) {
    const missing = of.filter((other) => !haveGoTools([other]));
    if (await begin(work)) await build(missing, tools[name], work, say);
    // Whoever began it has died over it.
    else if (Date.now() > until) await rm(work, { recursive: true, force: true });
    else await new Promise((done) => setTimeout(done, 500));
  }
  return file;
}

/** What is the same of tools that are built together. */
function sourceOf(name: GoToolName): string {
  return `${tools[name].module}@${tools[name].version}`;
}

/** Of several that want it at the same time, the one that makes the folder builds. */
async function begin(work: string): Promise<boolean> {
  await mkdir(cache, { recursive: true });
  return await mkdir(work).then(
    () => true,
    () => false,
  );
}

async function build(
  missing: readonly GoToolName[],
  source: GoTool,
  work: string,
  say: (line: string) => void,
): Promise<void> {
  const all = `${missing.join(', ')} ${source.version}`;
  const began = Date.now();
  try {
    const go = await findGo(say);
    say(`${all}: fetching its modules`);
    await writeFile(join(work, 'go.mod'), await goModule(go, work, source));
    const env = { GOFLAGS: '-mod=mod', CGO_ENABLED: '0' };
    await execute(go, ['get', `${source.module}@v${source.version}`], work, env);
    say(`${all}: building, ${seconds(began)} s so far`);
    const packages = missing.map((name) => tools[name].package);
    // Several go into a folder, each under the name of its package's folder.
    const out = packages.length > 1 ? './' : missing.join();
    await execute(go, ['build', '-trimpath', '-ldflags', '-s -w', '-o', out, ...packages], work, env);
    for (const name of missing) {
      const folder = goToolFolder(name);
      await mkdir(folder, { recursive: true });
      await rename(join(work, name), join(folder, name));
      const { size } = await stat(join(folder, name));
      say(`${name} ${source.version}: built after ${seconds(began)} s, ${Math.round(size / 1e6)} MB`);
    }
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

function seconds(began: number): number {
  return Math.round((Date.now() - began) / 1000);
}

/** A module that requires the tool's, with the replacements that the tool's own go.mod makes by folders. */
async function goModule(go: string, work: string, { module, version, staging }: GoTool): Promise<string> {
  const lines = ['module mimeo.local/tools', ''];
  if (staging) {
    const said = await execute(go, ['mod', 'download', '-json', `${module}@v${version}`], work);
    const { GoMod } = JSON.parse(said) as { readonly GoMod: string };
    const own = await execute(go, ['mod', 'edit', '-json', GoMod], work);
    const { Replace } = JSON.parse(own) as {
      readonly Replace?: readonly {
        readonly Old: { readonly Path: string };
        readonly New: { readonly Path: string };
      }[];
    };
    for (const { Old, New } of Replace ?? []) {
      if (New.Path.startsWith(staging.folder))
        lines.push(`replace ${Old.Path} => ${Old.Path} ${staging.version}`);
    }
  }
  return `${lines.join('\n')}\n`;
}

/** Go from PATH; one before 1.21 is told to fetch a newer one. */
async function findGo(say: (line: string) => void): Promise<string> {
  const said = await execute('go', ['env', 'GOVERSION', 'GOOS', 'GOARCH'], cache).catch((error: unknown) => {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`Go is needed to build the tools of the tests (apt-get install golang-go): ${why}`);
  });
  const [version = '', os = '', architecture = ''] = said.split('\n');
  const minor = Number(/^go1\.(\d+)/.exec(version)?.[1] ?? leastGoMinor);
  if (minor >= leastGoMinor) return 'go';
  say(`${version} is too old; fetching Go ${newerToolchain}`);
  const toolchain = `golang.org/toolchain@v0.0.1-go${newerToolchain}.${os}-${architecture}`;
  const { Dir } = JSON.parse(await execute('go', ['mod', 'download', '-json', toolchain], cache)) as {
    readonly Dir: string;
  };
  await makeExecutable(join(Dir, 'bin'));
  await makeExecutable(join(Dir, 'pkg/tool', `${os}_${architecture}`));
  return join(Dir, 'bin/go');
}

/** A module's files cannot be run until they are said to be programs; a Go from 1.21 on does so itself. */
async function makeExecutable(folder: string): Promise<void> {
  for (const name of await readdir(folder)) chmodSync(join(folder, name), 0o755);
}

/** @returns what it wrote to stdout */
async function execute(
  command: string,
  args: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  await mkdir(cwd, { recursive: true });
  const child = spawn(command, args, { cwd, env: { ...process.env, ...env } });
  let [out, errors] = ['', ''];
  child.stdout.on('data', (chunk) => {
    out += String(chunk);
  });
  child.stderr.on('data', (chunk) => {
    errors += String(chunk);
  });
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code}:\n${errors.slice(-4000)}`);
  return out;
}
