import { posix } from 'node:path';

/** A source file by its path from the repository's root. */
export interface Source {
  readonly path: string;
  readonly text: string;
}

interface Import {
  readonly specifier: string;
  /** Whether it is gone when the file runs. */
  readonly typeOnly: boolean;
}

/** What the domain may use of the world: none of it reads, writes or waits. */
const packagesOfCore = [
  'zod',
  'ajv',
  'ajv-formats',
  'croner',
  'node:crypto',
  'node:util',
  'node:buffer',
  'node:vm',
];
const packagesOfPorts = ['zod'];
/** How a folder is packed, which Python is taken, whether a database is intact, what operators do to a store. */
const sharedWithTheCommandLine = [
  'services/registrar/pack.ts',
  'services/registrar/python.ts',
  'services/ports/sqlite-check.ts',
  'services/operator.ts',
  // A machine that is lent to a model is a runner.
  'services/runner/app.ts',
  'services/ports/fleet-protocol/http.ts',
];
/** What the stack knows of services beside the core: their variables, and the table's keys. */
const knownToInfra = /^services\/(core\/.+|[^/]+\/env\.ts|ports\/table\/dynamodb-schema\.ts)$/;
/** Clients of stores, clouds and clusters: what adapters are for. */
const outsideWorld = /^(node:sqlite|redis|@redis\/.+|@aws-sdk\/.+|@smithy\/.+|@kubernetes\/.+)$/;

/** Every import that points the wrong way, as `file → import → why`, in order. */
export function findViolations(sources: readonly Source[]): string[] {
  return sources.flatMap(({ path, text }) =>
    importsOf(text).flatMap((one) => {
      const why = one.specifier.startsWith('.')
        ? whyNotInside(path, posix.join(posix.dirname(path), one.specifier))
        : whyNotOutside(path, one);
      return why === undefined ? [] : [`${path} → ${one.specifier} → ${why}`];
    }),
  );
}

function importsOf(text: string): Import[] {
  const code = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
  const forms = [
    /^\s*(?:import|export)\s+(type\s)?[^'"`;]*?\sfrom\s+['"]([^'"]+)['"]/gm,
    /^\s*import\s+()['"]([^'"]+)['"]/gm,
    /\bimport\(\s*()['"]([^'"]+)['"]/g,
  ];
  return forms.flatMap((form) =>
    [...code.matchAll(form)].map(([, type, specifier = '']) => ({ specifier, typeOnly: Boolean(type) })),
  );
}

type Layer = 'core' | 'port' | 'adapter' | 'data' | 'entry' | 'cli' | 'app' | 'infra' | 'elsewhere';

function layerOf(path: string): Layer {
  if (path.startsWith('infra/') || path.startsWith('policies/')) return 'infra';
  if (!path.startsWith('services/')) return 'elsewhere';
  if (path.startsWith('services/core/')) return 'core';
  if (/^services\/ports\/[^/]+\/port\.ts$/.test(path)) return 'port';
  if (path.startsWith('services/ports/')) return 'adapter';
  if (path.startsWith('services/data/')) return 'data';
  // Chooses the cloud's adapters, for every main.ts alike.
  if (path === 'services/cloud.ts') return 'entry';
  if (path === 'services/operator.ts') return 'entry';
  // Reads the environment's secrets, for every main.ts alike.
  if (path === 'services/secrets.ts') return 'entry';
  if (path.startsWith('services/local/') || /^services\/[^/]+\/main\.ts$/.test(path)) return 'entry';
  if (path.startsWith('services/cli/')) return 'cli';
  return 'app';
}

/** Why one file of ours may not import another; undefined where it may. */
function whyNotInside(from: string, to: string): string | undefined {
  const target = layerOf(to);
  const ownFolder = folderOf(from) === folderOf(to);
  switch (layerOf(from)) {
    case 'core':
      return target === 'core' ? undefined : 'core imports only core';
    case 'port':
      return target === 'core' ? undefined : 'a port imports only core';
    case 'adapter':
      // Files right under services/ports are what adapters share, such as the opening of a database.
      if (target === 'core' || (target === 'adapter' && posix.dirname(to) === 'services/ports'))
        return undefined;
      if (posix.dirname(from) === posix.dirname(to)) return undefined;
      return 'an adapter imports only its own port and core';
    case 'data':
      if (target === 'core' || target === 'port' || target === 'data') return undefined;
      return 'services/data imports only core and ports';
    case 'entry':
      return target === 'elsewhere' && to !== 'package.json'
        ? 'services import nothing outside services'
        : undefined;
    case 'cli':
      if (target === 'core' || ownFolder || sharedWithTheCommandLine.includes(to)) return undefined;
      // Pure: it says what a server would do, without one.
      if (to.startsWith('services/simulator/')) return undefined;
      if (to === 'infra/config.ts' || to.startsWith('infra/plan/')) return undefined;
      return 'the command line imports only core and what it does as the server does';
    case 'app':
      if (target === 'core' || target === 'port' || target === 'data') return undefined;
      if (target === 'adapter') return 'only main.ts and services/local choose adapters';
      return ownFolder ? undefined : 'a service imports no other service';
    case 'infra':
      if (!to.startsWith('services/') || knownToInfra.test(to)) return undefined;
      return 'the stack knows of services only their core and their variables';
    case 'elsewhere':
      return undefined;
  }
}

/** Why a file may not import a package or a module of Node; undefined where it may. */
function whyNotOutside(from: string, { specifier, typeOnly }: Import): string | undefined {
  switch (layerOf(from)) {
    case 'core':
      return allows(packagesOfCore, specifier) ? undefined : 'core has no I/O and few packages';
    case 'port':
      if (typeOnly && specifier.startsWith('node:')) return undefined;
      return allows(packagesOfPorts, specifier)
        ? undefined
        : 'a port says what is needed, not how it is done';
    case 'data':
    case 'app':
    case 'cli':
      return outsideWorld.test(specifier) ? 'only adapters speak to stores, clouds and clusters' : undefined;
    default:
      return undefined;
  }
}

function allows(packages: readonly string[], specifier: string): boolean {
  return packages.some((name) => specifier === name || specifier.startsWith(`${name}/`));
}

/** The service that a file belongs to: `services/api` for everything below it. */
function folderOf(path: string): string {
  return path.split('/').slice(0, 2).join('/');
}
