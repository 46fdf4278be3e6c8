/** Something that is asked for often and done seldom. */
export interface Pace {
  /** Asks for a run. `atOnce` does not wait for the spacing, though never two run at the same time. */
  request(options?: { readonly atOnce: boolean }): void;
  /** No run begins after it. Resolves when none is under way. */
  close(): Promise<void>;
}

/**
 * Runs `task` when it is asked for: at once after a pause, else `spacingMs` after the last run began, however often it
 * is asked for meanwhile. What is asked for during a run is run after it.
 * @param task must not reject
 */
export function paced(task: () => Promise<void>, spacingMs: number): Pace {
  let timer: NodeJS.Timeout | undefined;
  let current: Promise<void> | undefined;
  let wished: 'no' | 'spaced' | 'atOnce' = 'no';
  let earliest = 0;
  let closed = false;

  function plan(): void {
    if (closed || current !== undefined || wished === 'no') return;
    const wait = wished === 'atOnce' ? 0 : earliest - Date.now();
    if (wait <= 0) run();
    else timer ??= setTimeout(run, wait);
  }

  function run(): void {
    clearTimeout(timer);
    timer = undefined;
    wished = 'no';
    earliest = Date.now() + spacingMs;
    current = task().finally(() => {
      current = undefined;
      plan();
    });
  }

  return {
    request(options) {
      if (wished !== 'atOnce') wished = options?.atOnce ? 'atOnce' : 'spaced';
      plan();
    },
    async close() {
      closed = true;
      clearTimeout(timer);
      await current;
    },
  };
}

/** Resolves after `ms`, or as soon as `signal` aborts. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const end = () => resolve();
  const timer = setTimeout(end, ms);
  signal.addEventListener('abort', end);
  await promise;
  clearTimeout(timer);
  signal.removeEventListener('abort', end);
}
