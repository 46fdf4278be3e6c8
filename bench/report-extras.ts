import type { PeersSummary } from './peers.ts';
import { inFull, type Row } from './report.ts';
import type { Measured } from './targets.ts';

const blank: Row = ['', '', '', '', ''];

/** What is measured beside bare Cog, for people. */
export function extraRows({ cold, large, queued, peers }: Measured): Row[] {
  const rows: Row[] = [];
  if (large) {
    const { megabytes, upload, model, download, memory } = large;
    rows.push(
      blank,
      [`A file of ${megabytes} MiB, MiB a second`, 'upload', 'model', 'download', 'memory grew by'],
      [
        '  through Mimeo',
        inFull(upload, 0),
        inFull(model, 0),
        inFull(download, 0),
        `${mebibytes(memory.peakBytes - memory.beforeBytes)} MiB at most`,
      ],
    );
  }
  if (queued) {
    const { predictions, createdPerSecond, drainedPerSecond, memory, bytesEach } = queued;
    rows.push(
      blank,
      [`${predictions} queued predictions`, 'created a second', 'ran a second', 'memory grew by', 'for each'],
      [
        '  one instance',
        String(Math.round(createdPerSecond)),
        String(Math.round(drainedPerSecond)),
        `${mebibytes(memory.peakBytes - memory.beforeBytes)} MiB at most`,
        `${(bytesEach / 1024).toFixed(1)} KiB`,
      ],
    );
  }
  if (peers) rows.push(...peerRows(peers));
  // What comes before, but for the cold start, ends with a blank line of its own.
  return cold ? rows : rows.slice(1);
}

function peerRows({ figures, memoryBytes, firstToken, missing }: PeersSummary): Row[] {
  const counts = [...new Set(figures.map(({ clients }) => clients))];
  const loads = counts.flatMap((count): Row[] => [
    blank,
    [`${count} client${count === 1 ? '' : 's'}`, 'p50, ms', 'p99, ms', 'a second', 'to bare Cog'],
    ...figures
      .filter(({ clients }) => clients === count)
      .map(
        ({ name, p50Ms, p99Ms, perSecond, toBare }): Row => [
          `  ${name}`,
          inFull(p50Ms, 2),
          inFull(p99Ms, 1),
          inFull(perSecond, 0),
          `× ${inFull(toBare, 2)}`,
        ],
      ),
  ]);
  const memory = Object.entries(memoryBytes).map(([name, bytes]): Row => {
    const token = firstToken[name];
    const late = token ? `${token.p50Ms.toFixed(2)} / ${token.p95Ms.toFixed(2)}` : '';
    return [`  ${name}`, `${mebibytes(bytes)} MiB`, late, '', ''];
  });
  return [
    ...loads,
    blank,
    ['All processes', 'memory', 'first token late by, ms (p50 / p95)', '', ''],
    ...memory,
    ['Peers keep no record, bill nothing and queue in memory; Mimeo does all three on disk.', '', '', '', ''],
    ...missing.map(({ name, reason }): Row => [`${name}: ${reason.split('\n')[0] ?? ''}`, '', '', '', '']),
  ];
}

function mebibytes(bytes: number): string {
  return String(Math.round(bytes / 1024 / 1024));
}
