import { setTimeout as pause } from 'node:timers/promises';
import type { Instance } from '../core/pool.ts';
import type { CogClient } from './cog-client.ts';
import { isDefunct, setupFailureMessage } from './cog-state.ts';
import { type CogExit, describeExit } from './exit.ts';
import { readableLog, setupLogs, withoutServerLines } from './server-log.ts';

/** How an instance came up. */
export interface SetupResult {
  /** Null where it is ready. */
  readonly failure: Instance['failure'];
  readonly setupLogs: string;
}

export interface SetupOptions {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly serverLog: () => string;
  /** How long the server's first answer may take, where the time counts from that; undefined where it counts from now. */
  readonly firstAnswerMs: number | undefined;
  /** What has been printed so far. */
  onLogs(logs: string): void;
}

/** Most characters that are kept of what setup prints; its end tells more than its beginning. */
const maxSetupLogChars = 64 * 1024;

/** How much later than the result of setup what it printed may be there. */
export const lastLinesMs = 200;

/** Waits until a Cog server can take jobs. Undefined where `signal` aborted first. */
export async function awaitSetup(cog: CogClient, options: SetupOptions): Promise<SetupResult | undefined> {
  const { timeoutMs, signal, serverLog, firstAnswerMs } = options;
  let startedAt = performance.now();
  let limitMs = firstAnswerMs ?? timeoutMs;
  let hasAnswered = false;
  let logs = '';
  while (!signal.aborted) {
    const health = await cog.health();
    if (health && !hasAnswered && firstAnswerMs !== undefined) {
      startedAt = performance.now();
      limitMs = timeoutMs;
    }
    hasAnswered ||= health !== undefined;
    const elapsedMs = performance.now() - startedAt;
    if (health && health.setupLogs !== '') {
      logs = cap(withoutServerLines(health.setupLogs));
      options.onLogs(logs);
    }
    if (health && isDefunct(health)) {
      // The last lines come on another way than the result, and a moment later.
      await pause(lastLinesMs);
      const printed = health.coglet === null ? '' : setupLogs(serverLog());
      const failure = { code: 'setup_failed', message: setupFailureMessage(logs) } as const;
      return { failure, setupLogs: cap(printed + logs) };
    }
    // coglet is ready a moment before it knows its schema, and tells the result of setup after that.
    const isReady = health?.status === 'READY' || health?.status === 'BUSY';
    if (isReady && health.setupStatus !== 'starting' && (await prepare(cog, health))) {
      return { failure: null, setupLogs: logs };
    }
    if (elapsedMs > limitMs) {
      const seconds = Math.round(limitMs / 1000);
      const message =
        hasAnswered || firstAnswerMs === undefined
          ? `Setup took longer than ${seconds} s.`
          : `The model's server gave no answer for ${seconds} s.`;
      const printed = logs || setupLogs(serverLog());
      return { failure: { code: 'setup_timed_out', message }, setupLogs: cap(printed) };
    }
    await pause(pollMs(elapsedMs), undefined, { signal }).catch(() => {});
  }
  return undefined;
}

/** What setup printed, once all of it is there. */
export function allSetupLogs(told: string, serverLog: string): string {
  const printed = setupLogs(serverLog);
  return printed.length > told.length ? cap(printed) : told;
}

/** Why a server whose process ended never came up. */
export function setupDeath(exit: CogExit, serverLog: string, outOfMemory: boolean): SetupResult {
  const logs = cap(readableLog(serverLog).trimEnd());
  const saysWhy = logs !== '' && !outOfMemory && exit.signal === null;
  const message = saysWhy
    ? setupFailureMessage(logs)
    : `${describeExit(exit, outOfMemory)} It was not ready yet.`;
  return { failure: { code: 'setup_failed', message }, setupLogs: logs };
}

async function prepare(cog: CogClient, health: Parameters<CogClient['prepare']>[0]): Promise<boolean> {
  try {
    await cog.prepare(health);
    return true;
  } catch {
    // It went away again; the next look tells more.
    return false;
  }
}

/** Often while a cold start is measured in milliseconds, seldom while weights are loaded. */
function pollMs(elapsedMs: number): number {
  if (elapsedMs < 5000) return 10;
  return elapsedMs < 60_000 ? 100 : 500;
}

function cap(logs: string): string {
  return logs.slice(-maxSetupLogChars);
}
