import { usageError } from './failure.ts';

const unitSeconds = { s: 1, m: 60, h: 3600, d: 86_400 } as const;

/**
 * A time as people write it: how long ago (`30m`, `2h`, `1d`), or ISO 8601.
 * @returns epoch ms
 * @throws CliError where it is none
 */
export function readTime(text: string, nowMs: number): number {
  const [, count, unit] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  const time =
    count === undefined
      ? Date.parse(text)
      : nowMs - Number(count) * 1000 * unitSeconds[unit as keyof typeof unitSeconds];
  if (Number.isNaN(time)) throw usageError(`"${text}" is no time: write 30m, 2h, 1d or an ISO 8601 time.`);
  return time;
}
