import { remember } from '../../core/remembered.ts';
import type { Item } from './port.ts';

/** An item as it lies in its row. */
export interface StoredItem {
  readonly id: number;
  readonly body: string;
  readonly item: Item;
}

/** Items that were written last and are likely to be written again soon: a job's row is, three times in its life. */
const keptItems = 1024;
/** Characters of an item that is worth its memory. */
const keptCharacters = 4096;

/** What this connection wrote last, so that a write on a condition need not read it back and parse it. */
export function createRecentItems() {
  const kept = new Map<string, StoredItem>();
  const nameOf = (pk: string, sk: string) => `${pk}\n${sk}`;
  return {
    get: (pk: string, sk: string): StoredItem | undefined => kept.get(nameOf(pk, sk)),
    keep(stored: StoredItem): void {
      const name = nameOf(stored.item.pk, stored.item.sk);
      if (stored.body.length > keptCharacters) kept.delete(name);
      else remember(kept, name, stored, keptItems);
    },
    forget: (pk: string, sk: string): void => void kept.delete(nameOf(pk, sk)),
    clear: (): void => kept.clear(),
  };
}
