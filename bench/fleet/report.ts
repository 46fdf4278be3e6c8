import type { FleetSummary } from './measure.ts';

/** The table that `npm run bench -- fleet` prints, as Markdown. */
export function formatFleet({ stages, quietSeconds }: FleetSummary): string {
  const rows: readonly (readonly [string, (stage: FleetSummary['stages'][number]) => string])[] = [
    ['pods', ({ pods }) => String(pods)],
    ['all pods made within', ({ growSeconds }) => `${growSeconds.toFixed(1)} s`],
    ['calls of the API server a pod', ({ callsPerPod }) => callsPerPod.toFixed(2)],
    ['calls for one instance more', ({ callsPerChange }) => callsPerChange.toFixed(2)],
    ['from wake-up to the pod’s call, p50', ({ reactionMs }) => `${reactionMs.p50.toFixed(1)} ms`],
    ['the same, p95', ({ reactionMs }) => `${reactionMs.p95.toFixed(1)} ms`],
    ['CPU for one instance more', ({ cpuMsPerChange }) => `${cpuMsPerChange.toFixed(1)} ms`],
    [`calls in ${quietSeconds} quiet seconds`, ({ callsWhileQuiet }) => String(callsWhileQuiet)],
    ['heap', ({ heapMib }) => `${heapMib.toFixed(0)} MiB`],
  ];
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const head = ['director of a cluster', ...stages.map(({ pools }) => `${pools} pools`)];
  return [
    line(head),
    line(head.map(() => '---')),
    ...rows.map(([name, cell]) => line([name, ...stages.map(cell)])),
    '',
  ].join('\n');
}
