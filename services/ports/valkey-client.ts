import type { Logger } from 'pino';

/** How long a start waits for the first connection; whatever comes later is made up for. */
const connectMs = 3000;
/** A connection is tried out this often, and given up where nothing was heard for twice as long. */
const pingMs = 5000;
const longestReconnectMs = 2000;
/** How often failures are logged at most. */
const logEveryMs = 10_000;

/**
 * What a client of Valkey is made with, beside its scripts.
 * @param options.commandMs after how long an answer is not worth waiting for
 */
export function valkeyClientOptions({
  url,
  commandMs,
}: {
  readonly url: string;
  readonly commandMs: number;
}) {
  return {
    url,
    RESP: 3,
    // What cannot be sent now is not worth sending later.
    disableOfflineQueue: true,
    commandOptions: { timeout: commandMs },
    pingInterval: pingMs,
    socket: {
      connectTimeout: connectMs,
      socketTimeout: 2 * pingMs,
      reconnectStrategy: (retries: number) => Math.random() * Math.min(longestReconnectMs, 50 * 2 ** retries),
    },
  } as const;
}

/** Logs what goes wrong with Valkey as a warning, a line now and then. @param message what that means for users */
export function valkeyReporter(logger: Logger, message: string): (error: unknown) => void {
  let loggedAt = Number.NEGATIVE_INFINITY;
  return (error) => {
    if (performance.now() - loggedAt < logEveryMs) return;
    loggedAt = performance.now();
    logger.warn({ err: error }, message);
  };
}

/** Resolves with the first connection, or after a while without one: the client goes on trying. */
export async function firstConnection(
  client: { connect(): Promise<unknown> },
  report: (error: unknown) => void,
): Promise<void> {
  const connected = client.connect().catch(report);
  await Promise.race([connected, new Promise((resolve) => setTimeout(resolve, connectMs).unref())]);
}
