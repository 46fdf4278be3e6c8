import fc from 'fast-check';
import { expect, it } from 'vitest';
import { itemBytes } from '../../bench/cost/capacity.ts';
import { decodeItem, encodeItem } from '../../services/ports/table/dynamodb-items.ts';
import type { Item } from '../../services/ports/table/port.ts';

function itemWith(value: unknown): Item {
  return { pk: 'JOB#1', sk: 'INPUT', data: { value: value as Item['data'][string], v: 1 }, expiresAt: 5 };
}

it('an item of any JSON comes back as it was', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.integer({ min: 0, max: 2000 }), (value, repeats) => {
      const item = itemWith([value, 'é"\\'.repeat(repeats)]);
      expect(decodeItem(encodeItem(item))).toEqual(JSON.parse(JSON.stringify(item)));
    }),
  );
});

it('1,000 characters of base64, which is as dense as text gets, fit the KB that is paid for', () => {
  const bytes = Uint8Array.from({ length: 750 }, (_, at) => (at * at * 31 + at * 17) % 251);
  const item = itemWith({ inline: { image: Buffer.from(bytes).toString('base64') } });

  expect(itemBytes(encodeItem(item))).toBeLessThanOrEqual(1024);
});

it('what is short stays readable in the console', () => {
  expect(encodeItem(itemWith({ inline: { text: 'a'.repeat(500) } })).j?.S).toContain('aaaa');
});

it('what an event of a stream carries, bytes in base64, is read as well', () => {
  const item = itemWith({ inline: 'b'.repeat(2000) });
  const { z, ...others } = encodeItem(item);
  const base64 = Buffer.from(z?.B ?? []).toString('base64');

  expect(decodeItem({ ...others, z: { B: base64 as unknown as Uint8Array } })).toEqual(item);
});

it('an item that was written before anything was deflated is read', () => {
  const json = JSON.stringify({ value: { inline: 'c'.repeat(2000) } });
  const attributes = { pk: { S: 'A' }, sk: { S: 'B' }, d: { M: {} }, j: { S: json } };

  expect(decodeItem(attributes).data).toEqual(JSON.parse(json));
});
