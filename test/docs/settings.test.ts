import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { settingsSchema } from '../../infra/config-schema.ts';

const page = readFileSync(join(import.meta.dirname, '../../docs/operations.md'), 'utf8');

const sectionSchema = z.object({ properties: z.record(z.string(), z.unknown()).default({}) });
const { properties: sections } = z
  .object({ properties: z.record(z.string(), sectionSchema) })
  .parse(z.toJSONSchema(settingsSchema, { io: 'input', unrepresentable: 'any' }));

/** Tags of AWS, which are spelled as settings are. */
const tags = ['project', 'environment', 'tier'];

it('every section of settings that the page names is there', () => {
  const named = [...page.matchAll(/`mimeo:(\w+)[`:]/g)].map(([, name = '']) => name);

  expect(named.length).toBeGreaterThan(15);
  expect(named.filter((name) => !tags.includes(name) && sections[name] === undefined)).toEqual([]);
});

it('so is every setting that it names as one of a section', () => {
  // `allowedCidrs` of `mimeo:api`, `endpointCidrs` in `mimeo:cluster`, `deletion: true` in `mimeo:protection`
  const named = [...page.matchAll(/`(\w+)(?:: \w+)?`\s+(?:of|in)\s+`mimeo:(\w+)`/g)].map(
    ([, setting = '', section = '']) => ({ setting, section }),
  );

  expect(named.length).toBeGreaterThan(12);
  expect(named.filter(({ setting, section }) => !(setting in (sections[section]?.properties ?? {})))).toEqual(
    [],
  );
});

it('and what it shows of a file is read without a mistake', () => {
  const blocks = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, block = '']) => block);

  expect(blocks.length).toBeGreaterThan(0);
  for (const block of blocks) {
    const given = Object.entries(z.record(z.string(), z.unknown()).parse(parse(block)));
    const settings = Object.fromEntries(given.map(([key, value]) => [key.replace(/^mimeo:/, ''), value]));
    expect(settingsSchema.safeParse(settings).error?.issues).toBeUndefined();
  }
});
