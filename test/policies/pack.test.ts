import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect, test } from 'vitest';
import { createPolicies } from '../../policies/pack.ts';
import { policyTable } from '../../policies/table.ts';

const root = join(import.meta.dirname, '../..');
const policies = createPolicies(() => ({ idle: 0, peak: 0 }));

test('every file of an area is a policy of the pack, and is called like it', () => {
  const files = globSync('policies/*/*.ts', { cwd: root }).map((path) => basename(path, '.ts'));
  expect(policies.map(({ name }) => name).toSorted()).toEqual(files.toSorted());
});

test('names are unique words joined by -', () => {
  expect(new Set(policies.map(({ name }) => name)).size).toBe(policies.length);
  for (const { name } of policies) expect(name).toMatch(/^[a-z0-9]+(-[a-z0-9]+)*$/);
});

test.each(policies.map((policy) => [policy.name, policy] as const))(
  '%s is told in one sentence, and judges',
  (_, policy) => {
    expect(policy.description).toMatch(/^[A-Z][^.]*(\d\.\d[^.]*)*\.$/);
    expect(policy.description).toContain('should');
    expect(['mandatory', 'advisory']).toContain(policy.enforcementLevel);
    // Nothing is changed behind a person's back.
    expect(policy).not.toHaveProperty('remediateResource');
  },
);

test('every setting says what it is, and has a default of its kind for each environment', () => {
  for (const { configSchema } of policies) {
    for (const [name, { description, type, default: value }] of Object.entries(
      configSchema?.properties ?? {},
    )) {
      expect(description, name).toMatch(/^[A-Z]/);
      if (type === 'array') expect(Array.isArray(value), name).toBe(true);
      else expect(Object.keys(value as object), name).toEqual(['dev', 'staging', 'prod']);
    }
  }
});

test('docs/policies.md has every policy as it is', () => {
  const page = readFileSync(join(root, 'docs/policies.md'), 'utf8');
  const table = page.split('## The pack')[1] ?? '';
  // Biome pads the cells.
  const cells = (text: string) => text.trim().replace(/ +/g, ' ').replace(/-{2,}/g, '-');
  expect(cells(table)).toBe(cells(policyTable(policies)));
});
