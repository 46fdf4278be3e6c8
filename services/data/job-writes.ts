import { ConflictError, type Durability, type Item, type Table, type WriteOp } from '../ports/table/port.ts';

/**
 * Writes a payload and then the row that it belongs to, each by a write of its own: both in one cost twice as much in
 * the cloud. The row decides. A payload is never put over another one but together with its row, so who loses the row
 * has taken nothing from who won it; what a loser leaves behind no row names.
 * @throws ConflictError where the row's condition does not hold
 */
export async function writePayloadAndRow(
  table: Table,
  payload: Item,
  row: WriteOp,
  durability?: Durability,
): Promise<void> {
  try {
    await table.write([{ op: 'put', item: payload, when: { absent: true } }], 'soon');
  } catch (error) {
    if (!(error instanceof ConflictError)) throw error;
    await table.write([row, { op: 'put', item: payload }], durability);
    return;
  }
  await table.write([row], durability);
}
