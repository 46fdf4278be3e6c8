import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { shardsOf } from '../../services/ports/table/dynamodb-items.ts';

const root = join(import.meta.dirname, '../..');
const page = readFileSync(join(root, 'docs/data-model.md'), 'utf8');

/** Words in capitals that a key begins with or consists of, such as `JOB#` or `'INPUT'`. */
function keyWords(): string[] {
  const words = globSync('services/data/*.ts', { cwd: root })
    .map((path) => readFileSync(join(root, path), 'utf8').replace(/\/\*[\s\S]*?\*\//g, ''))
    .flatMap((text) => [...text.matchAll(/['`]([A-Z][A-Z_-]{2,})(?=['`#])/g)].map(([, word = '']) => word));
  return [...new Set(words)].sort();
}

it('every key that is used in services/data is on the page of the data model', () => {
  const words = keyWords();

  expect(words).toEqual(expect.arrayContaining(['JOB', 'INPUT', 'REMOVALS', 'PREDICTIONS', 'POOLS']));
  expect(words.filter((word) => !new RegExp(`\`${word}[#\`]`).test(page))).toEqual([]);
});

it('so is every index, with its shards', () => {
  for (const [index, shards] of Object.entries(shardsOf))
    expect(page).toMatch(new RegExp(`\\| \`${index}\` +\\| ${shards} +\\|`));
});
