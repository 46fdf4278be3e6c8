import { setImmediate as turn } from 'node:timers/promises';
import type { Page } from '../ports/table/port.ts';

/** Items that one look takes. */
const lookItems = 250;
/** Looks that one page takes. */
const looksPerPage = 20;
/** Items that one page looks through before what was found has to do. */
export const itemsPerPage = lookItems * looksPerPage;

/**
 * A page of those items of a list for which `matches` holds. It has `limit` items unless it is the last one, or
 * `itemsPerPage` were looked through: then it has those that were found, perhaps none, and its `next` goes on from there.
 * @param look reads a number of items of the list from a cursor on
 */
export async function fillPage<T>(
  look: (cursor: string | undefined, count: number) => Promise<Page<T>>,
  matches: (item: T) => boolean,
  { limit, cursor }: { readonly limit: number; readonly cursor: string | undefined },
): Promise<Page<T>> {
  let found: T[] = [];
  let next = cursor;
  for (let looks = 0; looks < looksPerPage; looks += 1) {
    const page = await look(next, lookItems);
    const before = found;
    found = [...before];
    for (const [index, item] of page.items.entries()) {
      if (!matches(item)) continue;
      found.push(item);
      if (found.length < limit) continue;
      if (index === page.items.length - 1) return { items: found, next: page.next };
      // A cursor is for the end of a look only, so the page is cut by one that ends here. What it shows is what its
      // cursor goes on from: the list may have changed meanwhile.
      const cut = await look(next, index + 1);
      return { items: [...before, ...cut.items.filter(matches)], next: cut.next };
    }
    next = page.next;
    if (next === undefined) break;
    // Where other requests are served by the same thread, they come in between.
    await turn();
  }
  return { items: found, next };
}
