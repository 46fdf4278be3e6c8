/** How a column stands: numbers at the right. */
export type Alignment = 'left' | 'right';

/** Rows as lines, each column as wide as its longest text. Texts must be plain: their length is their width. */
export function textTable(
  rows: readonly (readonly string[])[],
  alignments: readonly Alignment[],
): readonly string[] {
  const widths = alignments.map((_, at) => Math.max(0, ...rows.map((row) => row[at]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((text, at) => {
        const width = widths[at] ?? 0;
        return alignments[at] === 'right' ? text.padStart(width) : text.padEnd(width);
      })
      .join('  ')
      .trimEnd(),
  );
}

/** Text in lines of at most `width`, broken between words. */
export function wrap(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

/** Lines in two columns, read down the first and then down the second. */
export function inTwo(lines: readonly string[], gap: string): readonly string[] {
  const height = Math.ceil(lines.length / 2);
  const width = Math.max(0, ...lines.slice(0, height).map(({ length }) => length));
  return lines.slice(0, height).map((line, at) => {
    const beside = lines[height + at];
    return beside === undefined ? line : `${line.padEnd(width)}${gap}${beside}`;
  });
}
