import type { Line } from './bill.ts';
import type { CostSummary } from './measure.ts';

/** What predictions cost in the cloud, for people. */
export function formatCost(summary: CostSummary): string {
  const { lines, plainUsd, targetUsd, directorUsd, surchargesUsd } = summary;
  const header = ['A million predictions, USD', 'requests', 'write units', 'read units', 'USD'];
  const rows = lines.map(rowOf);
  const verdict = `at most ${targetUsd} ${plainUsd <= targetUsd ? '✓' : '✗'}`;
  const table = [header, ...rows, ['together', '', '', verdict, plainUsd.toFixed(2)]];
  const width = Math.max(...table.map(([name = '']) => name.length));
  const text = table.map(([name = '', ...cells]) =>
    [name.padEnd(width), ...cells.map((cell) => cell.padStart(12))].join('  '),
  );
  return `${[
    ...text,
    '',
    `The director of a pool that gets one a second, by prediction: ${directorUsd.toFixed(2)}`,
    `On top: a file put out ${surchargesUsd.file.toFixed(2)}, a webhook ${surchargesUsd.webhook.toFixed(2)},` +
      ` a minute of ten tokens a second ${surchargesUsd.streamedMinute.toFixed(2)}`,
    'Counted from an emulated AWS, charged by AWS’s rules at prices of us-east-1. Not in it: what stands whether or not',
    'anybody calls (Fargate, load balancer, Valkey’s memory, idle polls), bytes that leave AWS, storage.',
  ].join('\n')}\n`;
}

function rowOf({ name, requests, writeUnits, readUnits, usdPerMillion }: Line): string[] {
  return [`  ${name}`, requests, writeUnits, readUnits, usdPerMillion].map((cell) =>
    typeof cell === 'string' ? cell : cell === 0 ? '' : cell.toFixed(2),
  );
}
