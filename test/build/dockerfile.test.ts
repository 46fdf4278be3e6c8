import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '../..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');

interface Stage {
  readonly name: string;
  readonly from: string;
  /** Its instructions in order, `FROM` aside. */
  readonly instructions: readonly { readonly name: string; readonly value: string }[];
}

/** The stages of a Dockerfile whose instructions are a line each. */
function stagesOf(text: string): Stage[] {
  const lines = text
    .replaceAll('\\\n', ' ')
    .split('\n')
    .filter((line) => line.trim() !== '' && !line.trimStart().startsWith('#'));
  const stages: (Stage & { instructions: { name: string; value: string }[] })[] = [];
  for (const line of lines) {
    const [, name = '', value = ''] = /^([A-Z]+)\s+(.*)$/.exec(line) ?? [];
    if (name === 'FROM') {
      const [, from = '', stage = ''] = /^(\S+) AS (\S+)$/.exec(value) ?? [];
      stages.push({ name: stage, from, instructions: [] });
    } else stages.at(-1)?.instructions.push({ name, value });
  }
  return stages;
}

const stages = stagesOf(read('Dockerfile'));
const base = stages.find(({ name }) => name === 'base');
const targets = stages.filter(({ name }) => name !== 'base');
const valuesOf = (name: string) =>
  stages.flatMap(({ instructions }) =>
    instructions.filter((one) => one.name === name).map(({ value }) => value),
  );

describe('the Dockerfile', () => {
  it('has a target for each service that runs in a container', () => {
    expect(targets.map(({ name }) => name)).toEqual(['api', 'director', 'runner']);
    for (const { from } of targets) expect(from).toBe('base');
  });

  it('starts from the very Node that the tests run on', () => {
    const lock = JSON.parse(read('package-lock.json')) as { packages: Record<string, { version: string }> };

    expect(base?.from).toBe(`node:${lock.packages['node_modules/node']?.version}-trixie-slim`);
  });

  it('runs as a user that is not root, known by number, and lets no target change that', () => {
    expect(valuesOf('USER')).toEqual(['1000:1000']);
    expect(base?.instructions.map(({ name }) => name)).toContain('USER');
  });

  it('needs no shell, neither to build nor to run', () => {
    expect(valuesOf('RUN')).toEqual([]);
    expect(valuesOf('CMD')).toEqual([]);
    expect(valuesOf('ENTRYPOINT').map((value) => JSON.parse(value))).toEqual([['node', '/app/main.mjs']]);
  });

  it('puts the bundle of the service in, readable by its user however strict the builder’s umask, and nothing else', () => {
    expect(valuesOf('ADD')).toEqual([]);
    for (const { instructions } of targets) {
      const copied = instructions.filter((one) => one.name === 'COPY').map(({ value }) => value);
      expect(copied).toEqual(['--chmod=0444 main.mjs /app/main.mjs']);
    }
  });

  it('holds no secret and no setting that is an environment’s', () => {
    expect([...valuesOf('ENV'), ...valuesOf('ARG')]).toEqual(['NODE_ENV=production', 'MIMEO_HOST=0.0.0.0']);
  });

  it('says only what its reader knows', () => {
    const names = new Set(stages.flatMap(({ instructions }) => instructions.map(({ name }) => name)));

    expect([...names].sort()).toEqual(['COPY', 'ENTRYPOINT', 'ENV', 'EXPOSE', 'USER', 'WORKDIR']);
  });
});
