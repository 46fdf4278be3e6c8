/** A wait that is over with `end`, with `signal` or after `seconds`, and leaves nothing behind. */
export function longPoll(seconds: number, signal: AbortSignal | undefined) {
  const { promise, resolve } = Promise.withResolvers<void>();
  const end = () => resolve();
  const timer = setTimeout(end, seconds * 1000);
  if (signal?.aborted) end();
  signal?.addEventListener('abort', end);
  const ended = promise.then(() => {
    clearTimeout(timer);
    signal?.removeEventListener('abort', end);
  });
  return { end, ended };
}
