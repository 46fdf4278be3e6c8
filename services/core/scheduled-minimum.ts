import { Cron } from 'croner';
import { z } from 'zod';

/** Most instances that a setting may name: a slip of the finger is refused, and the director's own limit is lower. */
export const mostInstances = 1000;

// What is far too long is not even looked at.
const text = z.string().max(100, { abort: true });

/**
 * A time in which a minimum of instances is kept, as KEDA's cron scaler says it: from each time that `start` names to
 * the next that `end` names. Both are cron expressions of five fields, by the clock of `timezone`.
 */
export const windowSchema = z.object({
  start: text,
  end: text,
  /** IANA, such as `Europe/Berlin`. */
  timezone: text.default('UTC'),
  min: z.int().min(0, { abort: true }).max(mostInstances, { abort: true }),
});
export type MinimumWindow = z.infer<typeof windowSchema>;

/** A minimum for now, and the epoch ms at which it may be another; null: it stays. */
export interface Minimum {
  readonly min: number;
  readonly changesAt: number | null;
}

/**
 * The highest minimum of the windows that a moment lies in. An hour that a clock skips at the start of summer time
 * counts as its end; of one that comes twice, the first counts.
 * @param now epoch ms
 */
export function scheduledMinimum(schedule: readonly MinimumWindow[], now: number): Minimum {
  const from = new Date(now);
  let min = 0;
  let changesAt = Number.POSITIVE_INFINITY;
  for (const window of schedule) {
    const start = nextTime(window.start, window.timezone, from);
    const end = nextTime(window.end, window.timezone, from);
    if (end < start) min = Math.max(min, window.min);
    changesAt = Math.min(changesAt, start, end);
  }
  return { min, changesAt: Number.isFinite(changesAt) ? changesAt : null };
}

/** What is wrong with a window, by its field. */
export function findMistakes(window: MinimumWindow): { readonly field: string; readonly message: string }[] {
  const { start, end, timezone } = window;
  if (!isTimezone(timezone)) {
    const message = `${quote(timezone)} is no time zone; write one as in Europe/Berlin or UTC`;
    return [{ field: 'timezone', message }];
  }
  const mistakes = (['start', 'end'] as const).flatMap((field) => {
    const message = mistakeOf(window[field], timezone);
    return message === undefined ? [] : [{ field, message }];
  });
  if (mistakes.length === 0 && start.trim() === end.trim())
    return [{ field: 'end', message: 'is the same as start, so that no time lies between them' }];
  return mistakes;
}

/** Any moment will do to see whether a time ever comes. */
const anyMoment = new Date('2000-01-01T00:00:00Z');

function mistakeOf(expression: string, timezone: string): string | undefined {
  if (expression.trim().split(/\s+/).length !== 5)
    return `${quote(expression)} is no cron expression of five fields, such as 0 8 * * 1-5`;
  try {
    if (Number.isFinite(nextTime(expression, timezone, anyMoment))) return undefined;
    return `${quote(expression)} names a time that never comes`;
  } catch (error) {
    const why = error instanceof Error ? error.message.replace(/^CronPattern: /, '') : String(error);
    return `${quote(expression)} is no cron expression: ${why.slice(0, 200)}`;
  }
}

/** Epoch ms of the first time after `from`; infinite where none comes. */
function nextTime(expression: string, timezone: string, from: Date): number {
  const cron = new Cron(expression.trim(), { timezone, mode: '5-part', paused: true });
  return cron.nextRun(from)?.getTime() ?? Number.POSITIVE_INFINITY;
}

function isTimezone(name: string): boolean {
  // Offsets are none: Croner does not know them.
  if (!/^[A-Za-z]/.test(name)) return false;
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}

function quote(text: string): string {
  return JSON.stringify(text.slice(0, 100));
}
