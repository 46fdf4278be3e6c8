import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { pricedRegions } from '../../../infra/aws/prices.ts';
import { freeTypes } from '../../../infra/plan/price/free.ts';
import { monthlyUsd, priceResources, pricers } from '../../../infra/plan/price/index.ts';
import { resourceOf, root } from './fixture.ts';

const known = [...freeTypes, ...Object.keys(pricers)].filter((type) => !type.startsWith('kubernetes:'));

/** The file of a provider's package that has a resource's class. */
function fileOf(type: string): string {
  const [pack = '', module = '', name = ''] = type.split(':');
  const file = `${name.charAt(0).toLowerCase()}${name.slice(1)}.js`;
  return join(root, 'node_modules/@pulumi', pack, module.split('/')[0] ?? '', file);
}

test('every type that is priced or free is one of the provider, and so none is misspelt', () => {
  const wrong = known.filter(
    (type) => !existsSync(fileOf(type)) || !readFileSync(fileOf(type), 'utf8').includes(`'${type}'`),
  );

  // A name that has gone from the provider, and stays in states of old.
  expect(wrong.filter((type) => type !== 'aws:s3/bucketV2:BucketV2')).toEqual([]);
});

test('no type is both priced and free, or twice free', () => {
  expect(new Set(known).size).toBe(known.length);
});

test('every region has a price of whatever is priced', () => {
  for (const region of pricedRegions) {
    const provider = resourceOf('pulumi:providers:aws', 'aws', { inputs: { region } });
    const resources = Object.keys(pricers).map((type) =>
      resourceOf(type, 'it', { inputs: { instanceTypes: ['g4dn.xlarge'], scalingConfig: { maxSize: 1 } } }),
    );

    expect(monthlyUsd(priceResources([provider, ...resources])).peak).toBeGreaterThan(100);
  }
});
