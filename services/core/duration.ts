/** Least `Cancel-After`, seconds: what the public API accepts. */
const minCancelAfterSeconds = 5;
/** Longest and default `Prefer: wait`, seconds. */
const maxWaitSeconds = 60;
/** A wait is answered by then: clients give up at 60.5 s and load balancers at 60 s. */
const answerBySeconds = 58;

/**
 * Seconds of a `Cancel-After` header: `30`, `90s`, `5m`, `1h30m45s`. undefined where it is none of these or less
 * than five seconds.
 */
export function parseCancelAfter(text: string): number | undefined {
  const match = /^(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,9})s?)?$/.exec(text.trim());
  if (!match || text.trim() === '') return undefined;
  const [hours, minutes, seconds] = match.slice(1).map((part) => Number(part ?? 0)) as [
    number,
    number,
    number,
  ];
  const total = hours * 3600 + minutes * 60 + seconds;
  return total >= minCancelAfterSeconds ? total : undefined;
}

/**
 * Seconds that a `Prefer` header asks to be waited for, 0 where it asks for nothing of the kind. undefined where the
 * number is not one of 1 to 60. Other preferences are ignored, as RFC 7240 wants it.
 */
export function parsePreferWait(header: string | undefined): number | undefined {
  const preference = (header ?? '').split(',').find((part) => /^\s*wait\s*(?:=|$)/i.test(part));
  if (preference === undefined) return 0;
  const value = preference.split('=')[1]?.trim().replaceAll('"', '');
  if (value === undefined) return answerBySeconds;
  const seconds = Number(value);
  const valid = /^\d+(\.\d+)?$/.test(value) && seconds >= 1 && seconds <= maxWaitSeconds;
  return valid ? Math.min(seconds, answerBySeconds) : undefined;
}
