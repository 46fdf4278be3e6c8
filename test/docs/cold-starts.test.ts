import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { hoursPerMonth, instancePrice, servicePrice } from '../../infra/aws/prices.ts';
import { usualInstanceTypes } from '../../infra/aws/usual-instance-types.ts';

const page = readFileSync(join(import.meta.dirname, '../../docs/cold-starts.md'), 'utf8');
const skus = ['gpu-t4', 'gpu-l40s', 'gpu-a100-small'];

/** The cells of the row of a table that begins with these words, but the first. */
function row(label: string): readonly string[] {
  const line = page.split('\n').find((one) => one.startsWith(`| ${label}`)) ?? '';
  return line
    .split('|')
    .slice(2, -1)
    .map((cell) => cell.trim());
}

function hourly(sku: string): number {
  const usd = instancePrice(usualInstanceTypes[sku]?.[0] ?? '', 'us-east-1')?.usd;
  if (usd === undefined) throw new Error(`no price for ${sku}`);
  return usd;
}

function dollars(usd: number, digits: number): string {
  const format = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return `$${usd.toLocaleString('en-US', format)}`;
}

describe('what it costs to hold, on the page of cold starts, is what the price list says', () => {
  it('of which hardware it tells', () => {
    expect(row('held')).toEqual(skus);
  });

  it('of a machine, an hour and a month', () => {
    expect(row('the machine behind')).toEqual(skus.map((sku) => dollars(hourly(sku), 3)));
    expect(row('the same, a month')).toEqual(skus.map((sku) => dollars(hourly(sku) * hoursPerMonth, 2)));
  });

  it('of the minutes after the last instance', () => {
    expect(row('a warm node after')).toEqual(skus.map((sku) => dollars(hourly(sku) / 6, 3)));
  });

  it('of a stopped machine’s disk: 200 GB at 600 MB/s, of which 125 are free', () => {
    const price = (item: string) => servicePrice('ebs', item, 'us-east-1').usd;
    const usd = 200 * price('gp3_gb_month') + (600 - 125) * price('gp3_mbps_month_over_125');

    expect(row('a stopped machine of a warm pool (`')).toEqual(skus.map(() => dollars(usd, 2)));
  });
});
