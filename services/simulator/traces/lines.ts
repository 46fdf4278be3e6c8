/** A trace cannot be read. The message is for people, and names the line. */
export class TraceError extends Error {
  override name = 'TraceError';
}

/** A line of a file, counted from 1. */
export interface Line {
  readonly number: number;
  readonly text: string;
}

/** Lines that say something. */
export function linesOf(text: string): readonly Line[] {
  return text
    .split(/\r?\n/)
    .map((line, at) => ({ number: at + 1, text: line }))
    .filter((line) => line.text.trim() !== '');
}

/** A mistake in one line. */
export function wrongLine(file: string, { number }: Line, why: string): TraceError {
  return new TraceError(`${file}, line ${number}: ${why}`);
}

/** Columns of a CSV by the names of its first line. These traces quote nothing. */
export class Table {
  readonly rows: readonly Line[];
  readonly #file: string;
  readonly #columns: ReadonlyMap<string, number>;

  constructor(file: string, text: string) {
    const [header, ...rows] = linesOf(text);
    if (!header) throw new TraceError(`${file} is empty.`);
    this.#file = file;
    this.rows = rows;
    this.#columns = new Map(header.text.split(',').map((name, at) => [name.trim(), at]));
  }

  has(column: string): boolean {
    return this.#columns.has(column);
  }

  /** The cells of a row, as many as there are columns. */
  cells(row: Line): readonly string[] {
    const cells = row.text.split(',');
    if (cells.length !== this.#columns.size) {
      throw wrongLine(
        this.#file,
        row,
        `has ${cells.length} columns; the first line has ${this.#columns.size}`,
      );
    }
    return cells;
  }

  text(row: Line, cells: readonly string[], column: string): string {
    const cell = cells[this.#columns.get(column) ?? -1];
    if (cell === undefined) throw wrongLine(this.#file, row, `has no column ${column}`);
    return cell.trim();
  }

  /** A number that is not negative; an empty cell is none. */
  number(row: Line, cells: readonly string[], column: string): number {
    const text = this.text(row, cells, column);
    const value = Number(text);
    if (text === '' || !Number.isFinite(value) || value < 0) {
      throw wrongLine(this.#file, row, `${column} is "${text}"; it takes a number`);
    }
    return value;
  }
}
