import { globSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { expect, test } from 'vitest';
import { findViolations, type Source } from './import-rules.ts';

const root = join(import.meta.dirname, '..');

function allSources(): Source[] {
  return globSync('{services,infra,policies}/**/*.{ts,tsx}', {
    cwd: root,
    exclude: (name) => name === 'node_modules',
  })
    .filter((path) => !path.includes('node_modules'))
    .map((path) => ({
      path: path.split(sep).join('/'),
      text: readFileSync(join(root, path), 'utf8'),
    }));
}

function violation(path: string, text: string): string | undefined {
  return findViolations([{ path, text }])[0];
}

test('dependencies point one way: apps to ports to core', () => {
  const sources = allSources();

  expect(sources.length).toBeGreaterThan(20);
  expect(findViolations(sources).join('\n')).toBe('');
});

test.each([
  ['services/core/job.ts', "import { Table } from '../ports/table/port.ts';", 'core imports only core'],
  ['services/core/job.ts', "import { readFile } from 'node:fs/promises';", 'core has no I/O'],
  ['services/core/job.ts', "import { Hono } from 'hono';", 'core has no I/O'],
  [
    'services/ports/table/port.ts',
    "import { Pools } from '../../data/pools.ts';",
    'a port imports only core',
  ],
  ['services/ports/table/port.ts', "import { Readable } from 'node:stream';", 'a port says what is needed'],
  ['services/ports/table/sqlite.ts', "import { x } from '../../api/app.ts';", 'an adapter imports only'],
  ['services/ports/table/sqlite.ts', "import { x } from '../queue/sqlite.ts';", 'an adapter imports only'],
  ['services/data/jobs.ts', "import { x } from '../api/app.ts';", 'services/data imports only'],
  [
    'infra/components/api.ts',
    "import { x } from '../../services/api/app.ts';",
    'the stack knows of services only',
  ],
  ['policies/pack.ts', "import { x } from '../services/data/jobs.ts';", 'the stack knows of services only'],
  ['services/data/jobs.ts', "import { x } from '../ports/table/sqlite.ts';", 'services/data imports only'],
  ['services/api/app.ts', "import { x } from '../ports/table/sqlite.ts';", 'only main.ts and services/local'],
  ['services/api/app.ts', "import { x } from '../director/app.ts';", 'a service imports no other service'],
  ['services/api/app.ts', "import { DatabaseSync } from 'node:sqlite';", 'only adapters speak'],
  ['services/api/app.ts', "import { S3Client } from '@aws-sdk/client-s3';", 'only adapters speak'],
  ['services/api/app.ts', "export * from '../local/app.ts';", 'a service imports no other service'],
  ['services/api/app.ts', "import '../local/app.ts';", 'a service imports no other service'],
  ['services/api/app.ts', "const x = await import('../local/app.ts');", 'a service imports no other service'],
  [
    'services/api/app.ts',
    "import {\n  a,\n  b,\n} from '../local/app.ts';",
    'a service imports no other service',
  ],
  ['services/api/app.ts', "import type { x } from '../local/app.ts';", 'a service imports no other service'],
  ['services/cli/run.ts', "import { x } from '../registrar/app.ts';", 'the command line imports only'],
  ['services/cli/run.ts', "import { x } from '../data/jobs.ts';", 'the command line imports only'],
  ['services/cli/run.ts', "import { x } from '../../infra/stack.ts';", 'the command line imports only'],
  ['services/local/main.ts', "import { x } from '../../test/models.ts';", 'services import nothing outside'],
])('%s may not say %j', (path, text, why) => {
  expect(violation(path, text)).toContain(`${path} → `);
  expect(violation(path, text)).toContain(why);
});

test.each([
  ['services/core/job.ts', "import { z } from 'zod';\nimport { x } from './errors.ts';"],
  ['services/ports/objects/port.ts', "import type { Readable } from 'node:stream';"],
  ['services/ports/fleet/port.ts', "import type { Pool } from '../../core/pool.ts';"],
  ['services/ports/table/sqlite.ts', "import type { Table } from './port.ts';\nimport 'node:sqlite';"],
  ['services/ports/table/sqlite.ts', "import { openSqliteFile } from '../sqlite-file.ts';"],
  ['services/data/jobs.ts', "import { x } from '../ports/table/port.ts';\nimport { y } from './stored.ts';"],
  ['services/api/app.ts', "import { x } from '../data/jobs.ts';\nimport { y } from './routes/a.ts';"],
  ['services/api/routes/a.ts', "import { y } from '../app.ts';"],
  ['services/api/main.ts', "import { x } from '../ports/table/sqlite.ts';"],
  ['services/local/app.ts', "import { x } from '../api/app.ts';"],
  ['services/cli/push.ts', "import { packFolder } from '../registrar/pack.ts';"],
  ['services/cli/commands/plan.ts', "import type { Plan } from '../../../infra/plan/plan.ts';"],
  ['services/cli/commands/simulate.ts', "import { compare } from '../../simulator/compare.ts';"],
  ['services/api/app.ts', "// import { x } from '../local/app.ts';\n/* import '../local/app.ts'; */"],
])('%s may say %j', (path, text) => {
  expect(violation(path, text)).toBeUndefined();
});

test('each wrong import has a line of its own', () => {
  const text = "import { a } from '../director/app.ts';\nimport { b } from '../ports/queue/sqlite.ts';";

  expect(findViolations([{ path: 'services/api/app.ts', text }])).toEqual([
    'services/api/app.ts → ../director/app.ts → a service imports no other service',
    'services/api/app.ts → ../ports/queue/sqlite.ts → only main.ts and services/local choose adapters',
  ]);
});
