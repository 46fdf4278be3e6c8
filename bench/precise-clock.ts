/** The time of day in fractions of a millisecond: `Date.now()` at the moment that it steps, and what has passed since. */
export function preciseClock(): () => number {
  const before = Date.now();
  let stepped = before;
  while (stepped === before) stepped = Date.now();
  const offset = stepped - performance.now();
  return () => offset + performance.now();
}
