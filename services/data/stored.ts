import type { Item, Value } from '../ports/table/port.ts';

/** Version of the stored form. A release reads its own and the one before it. */
const storedVersion = 1;

/** An object as the Table keeps it. */
export function toStored(object: { readonly [name: string]: Value }): Item['data'] {
  return { ...object, v: storedVersion };
}

/**
 * An object as we stored it. Only this code writes the Table, so the form is trusted and not parsed again.
 * @throws Error where a newer release wrote it
 */
export function fromStored<T>(item: Item): T {
  if (item.data.v !== storedVersion) {
    throw new Error(
      `Item ${item.pk} ${item.sk} has the form ${String(item.data.v)}; this release reads ${storedVersion}`,
    );
  }
  return item.data as T;
}

/** Epoch milliseconds in a form whose text order is the order of time. */
export function timeKey(epochMs: number): string {
  return String(Math.round(epochMs)).padStart(15, '0');
}
