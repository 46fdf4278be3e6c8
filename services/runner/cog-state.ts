import { z } from 'zod';
import type { JsonValue } from './transcript.ts';

const healthSchema = z.object({
  status: z.string(),
  setup: z
    .object({
      status: z.string().nullish(),
      logs: z.string().nullish(),
    })
    .nullish(),
  version: z.object({ coglet: z.string() }).partial().nullish(),
  user_healthcheck_error: z.string().nullish(),
});

/** What `GET /health-check` tells; it answers 200 whatever it has to tell. */
export interface CogHealth {
  readonly status: string;
  readonly setupStatus: string | null;
  readonly setupLogs: string;
  /** Version of coglet, null where the server is the older Python one. */
  readonly coglet: string | null;
  readonly healthcheckError: string | null;
}

/** Undefined where the text is not what a Cog server answers. */
export function parseHealth(text: string): CogHealth | undefined {
  const health = healthSchema.safeParse(parseJson(text)).data;
  if (!health) return undefined;
  return {
    status: health.status,
    setupStatus: health.setup?.status ?? null,
    setupLogs: health.setup?.logs ?? '',
    coglet: health.version?.coglet ?? null,
    healthcheckError: health.user_healthcheck_error ?? null,
  };
}

/**
 * Whether the server will never run anything again. coglet goes on serving when its worker has died, and only its
 * health check notices that nobody is there to ask.
 */
export function isDefunct(health: CogHealth): boolean {
  if (health.status === 'DEFUNCT' || health.status === 'SETUP_FAILED') return true;
  return /healthcheck (response )?channel (closed|dropped)/.test(health.healthcheckError ?? '');
}

/** A run as a Cog server tells it: in the answer to its PUT, in an event or in a webhook. */
export interface CogState {
  readonly status: string;
  readonly output: JsonValue;
  readonly error: string | null;
  readonly logs: string;
  readonly predictMs: number | null;
  readonly metrics: Record<string, JsonValue>;
}

const maxMetricsChars = 64 * 1024;

/** Reads what a server says of a run; whatever has not the expected type is taken for not said. */
export function readState(value: JsonValue | undefined): CogState {
  const said = isRecord(value) ? value : {};
  const { predict_time: seconds, ...metrics } = isRecord(said.metrics) ? said.metrics : {};
  return {
    status: typeof said.status === 'string' ? said.status : '',
    output: said.output ?? null,
    error: typeof said.error === 'string' ? said.error : null,
    logs: typeof said.logs === 'string' ? said.logs : '',
    predictMs:
      typeof seconds === 'number' && seconds >= 0 && Number.isFinite(seconds) ? seconds * 1000 : null,
    metrics: isSmall(metrics) ? metrics : {},
  };
}

/** The message of an answer that refuses a run: FastAPI's `detail`, coglet's `error`. Never empty. */
export function refusalMessage(status: number, text: string): string {
  const body = parseJson(text);
  const said = isRecord(body) ? (body.detail ?? body.error) : undefined;
  if (typeof said === 'string' && said.trim() !== '') return said.slice(0, 2000);
  if (Array.isArray(said)) {
    const messages = said.filter(isRecord).map(({ loc, msg }) => {
      const field = Array.isArray(loc)
        ? loc.filter((part) => part !== 'body' && part !== 'input').join('.')
        : '';
      return field && field !== '__root__' ? `${field}: ${String(msg)}` : String(msg);
    });
    if (messages.length > 0) return messages.join('; ').slice(0, 2000);
  }
  return `The model server answered with status ${status} and no explanation.`;
}

/** An exception's message without the wrappers that Cog puts around it. Never empty. */
export function exceptionMessage(error: string | null, logs: string): string {
  const message = (error ?? '')
    .replace(
      /^((Prediction failed|Training failed|Generator iteration error|Failed to iterate generator): )+/,
      '',
    )
    .replace(/:\s*$/, '')
    .trim();
  if (message !== '') return message.slice(0, 10_000);
  const last = lastLine(logs);
  const raised = /^[\w.]+(Error|Exception|Exit|Interrupt|Warning)\b/.test(last) ? last : '';
  return raised || 'The model raised an exception without a message; its logs may tell more.';
}

/** Why setup failed, in one line without Cog's wrappers: the last exception there is. Never empty. */
export function setupFailureMessage(logs: string): string {
  const lines = logs.split('\n').map((line) => line.trim());
  const wrapped = lines.findLast((line) => setupWrapper.test(line));
  const raised = lines.findLast((line) => /^[\w.]*(Error|Exception|Exit|Interrupt)\b/.test(line));
  const line = wrapped?.replace(setupWrapper, '') ?? raised ?? lastLine(logs);
  return line.slice(0, 1000) || 'Setup failed without a message.';
}

const setupWrapper = /^.*([Ss]etup failed|failed to load predictor|Predictor errored during setup): /;

/** The last line with anything on it. */
function lastLine(text: string): string {
  return text.trimEnd().split('\n').at(-1)?.trim() ?? '';
}

/** Undefined where the text is not JSON, or is nested so deeply that others could not walk through it. */
export function parseJson(text: string): JsonValue | undefined {
  if (text.length > maxDepth && nestsTooDeep(text)) return undefined;
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    return undefined;
  }
}

export function isRecord(value: unknown): value is Record<string, JsonValue> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const maxDepth = 500;

function nestsTooDeep(text: string): boolean {
  let depth = 0;
  let inString = false;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (inString) {
      if (code === 0x5c) at++;
      else if (code === 0x22) inString = false;
    } else if (code === 0x22) {
      inString = true;
    } else if (code === 0x5b || code === 0x7b) {
      depth++;
      if (depth > maxDepth) return true;
    } else if (code === 0x5d || code === 0x7d) {
      depth--;
    }
  }
  return false;
}

function isSmall(metrics: Record<string, JsonValue>): boolean {
  for (const _ in metrics) return JSON.stringify(metrics).length <= maxMetricsChars;
  return true;
}
