import {
  type Item,
  indexNames,
  type Key,
  type Table,
  type WriteOp,
} from '../../services/ports/table/port.ts';

/** An entry of an index. */
interface Entry {
  readonly sk: string;
  /** undefined where the item has left the index, which does not know it yet. */
  readonly item: Item | undefined;
}

/**
 * Has the indexes of a table keep the entries of what has left them, as DynamoDB's do for a moment: nothing of them is
 * read, and they take their place in a page all the same.
 */
export function keepIndexEntries(table: Table): void {
  const { get, query, write } = table;
  /** Sort keys by index and partition. */
  const left = new Map<string, string[]>();
  const nameOf = (index: string, pk: string) => `${index} ${pk}`;

  table.write = async (ops, durability) => {
    const before = await Promise.all(ops.map(async (op) => get(op.op === 'put' ? op.item : op.key)));
    await write(ops, durability);
    for (const [at, op] of ops.entries())
      for (const [index, { pk, sk }] of leavings(before[at], op))
        left.set(nameOf(index, pk), [...(left.get(nameOf(index, pk)) ?? []), sk]);
  };

  table.query = async (partition, options) => {
    const { index, pk } = partition;
    if (index === undefined) return await query(partition, options);
    const { limit, cursor, after = '', before = '~', descending } = options;
    const { items } = await query(partition, { limit: 1000 });
    const entries: Entry[] = [
      ...items.map((item) => ({ sk: item.keys?.[index]?.sk ?? '', item })),
      ...(left.get(nameOf(index, pk)) ?? []).map((sk) => ({ sk, item: undefined })),
    ];
    const sorted = entries.sort((a, b) => (a.sk < b.sk ? -1 : 1));
    const inBounds = (descending ? sorted.reverse() : sorted).filter(({ sk }) => sk > after && sk < before);
    const start = cursor === undefined ? 0 : inBounds.findIndex(({ sk }) => sk === cursor) + 1;
    const page = inBounds.slice(start, start + limit);
    const next = inBounds.length > start + limit ? page.at(-1)?.sk : undefined;
    return { items: page.flatMap(({ item }) => item ?? []), next };
  };
}

/** The keys in indexes that an item loses by an op. */
function leavings(before: Item | undefined, op: WriteOp): [string, Key][] {
  if (op.op === 'check' || op.op === 'add') return [];
  return indexNames.flatMap((index): [string, Key][] => {
    const was = before?.keys?.[index];
    const is = op.op === 'put' ? op.item.keys?.[index] : undefined;
    return was === undefined || (was.pk === is?.pk && was.sk === is.sk) ? [] : [[index, was]];
  });
}
