import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { tiersThatAreOff } from '../../../infra/plan/margin.ts';
import { percent } from '../../../infra/plan/report/figures.ts';
import { planEnvironment } from '../../../infra/plan/whole-stack.ts';
import { configOf, root } from './fixture.ts';

/** Rows of the tables in README.md, without what aligns them. */
const rows = readFileSync(join(root, 'README.md'), 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('|'))
  .map((line) => line.replace(/ +/g, ' '));

test("README has each GPU's price beside AWS's as it is today", () => {
  const tiers = tiersThatAreOff(configOf({ tiers: { cpu: { max: 1 } } })).map(({ would }) => would);

  expect(tiers).toHaveLength(7);
  for (const tier of tiers) {
    const hours = tier?.alwaysOnHoursPerDay;
    const figures = [tier?.awsMicroUsdPerSecond, tier?.priceMicroUsdPerSecond].map((micro) =>
      Math.round(micro ?? 0).toLocaleString('en-US'),
    );
    const always = hours === undefined ? 'never' : `${hours.toFixed(1)} hours a day`;
    const cells = [tier?.sku, tier?.instanceType, ...figures, percent(tier?.marginPercent ?? 0), always];
    expect(rows).toContain(`| ${cells.join(' | ')} |`);
  }
});

test('README has what dev costs while nobody calls as it is today, and the parts come to it', async () => {
  const { monthlyUsd } = await planEnvironment('dev', root);
  const start = rows.findIndex((row) => row.startsWith('| what stands |'));
  const end = rows.findIndex((row) => row.startsWith('| **together** |'));
  const parts = rows.slice(start + 2, end).map((row) => Number(row.split('|')[2]));

  expect(rows[end]).toBe(`| **together** | **${monthlyUsd.idle.toFixed(2)}** |`);
  expect(parts.reduce((sum, part) => sum + part, 0)).toBeCloseTo(monthlyUsd.idle, 1);
});
