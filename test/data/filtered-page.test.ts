import { expect, it } from 'vitest';
import { fillPage, itemsPerPage } from '../../services/data/filtered-page.ts';

/** A list of the numbers below `count`, in order, and how it was looked at. */
function numbers(count: number) {
  const looks: number[] = [];
  const look = async (cursor: string | undefined, atMost: number) => {
    const from = Number(cursor ?? 0);
    const to = Math.min(count, from + atMost);
    looks.push(to - from);
    return {
      items: Array.from({ length: to - from }, (_, index) => from + index),
      next: to < count ? String(to) : undefined,
    };
  };
  return { look, looks };
}

async function pages(count: number, matches: (item: number) => boolean, limit = 10): Promise<number[][]> {
  const { look } = numbers(count);
  const all: number[][] = [];
  let cursor: string | undefined;
  do {
    const page = await fillPage(look, matches, { limit, cursor });
    all.push([...page.items]);
    cursor = page.next;
  } while (cursor !== undefined);
  return all;
}

it.each([1, 3, 7, 24, 25, 26, 100])('pages are full but for the last where each %i-th fits', async (nth) => {
  const matches = (item: number) => item % nth === 0;

  const all = await pages(2000, matches);

  expect(all.flat()).toEqual(Array.from({ length: Math.ceil(2000 / nth) }, (_, index) => index * nth));
  expect(all.slice(0, -1).every((page) => page.length === 10)).toBe(true);
});

it('a page gives up after a bounded number of items, and the next goes on from there', async () => {
  const { look, looks } = numbers(itemsPerPage * 3);
  const isLast = (item: number) => item === itemsPerPage * 3 - 1;

  const first = await fillPage(look, isLast, { limit: 10, cursor: undefined });

  expect(first.items).toEqual([]);
  expect(looks.reduce((sum, items) => sum + items)).toBe(itemsPerPage);
  expect(await pages(itemsPerPage * 3, isLast)).toEqual([[], [], [itemsPerPage * 3 - 1]]);
});

it('a page that is full asks no more than it must', async () => {
  const { look, looks } = numbers(1000);

  await fillPage(look, () => true, { limit: 10, cursor: undefined });

  expect(looks).toHaveLength(2);
});
