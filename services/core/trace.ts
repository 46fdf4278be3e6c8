import { randomBytes } from 'node:crypto';
import { z } from 'zod';

/** A place in a trace, as W3C trace context tells it from one process to the next. */
export interface TraceContext {
  /** 32 hex digits */
  readonly traceId: string;
  /** 16 hex digits */
  readonly spanId: string;
  /** Whether its spans are recorded. */
  readonly isSampled: boolean;
}

/** The span of a job, which is recorded when it has ended, by whichever process ends it. */
export const jobTraceSchema = z.object({
  /** Of the job's own span: the parent of all that is done for it. */
  traceparent: z.string(),
  /** Of the request that created it. */
  parentSpanId: z.string(),
});
export type JobTrace = z.infer<typeof jobTraceSchema>;

/** Variables by which OpenTelemetry is turned on and off; the SDK reads the others itself. */
export interface TraceEnv {
  readonly OTEL_EXPORTER_OTLP_ENDPOINT?: string | undefined;
  readonly OTEL_EXPORTER_OTLP_TRACES_ENDPOINT?: string | undefined;
  readonly OTEL_SDK_DISABLED?: string | undefined;
  readonly OTEL_TRACES_EXPORTER?: string | undefined;
}

/** Whether traces are wanted: somebody said where they go, and nobody turned them off. */
export function wantsTraces(env: TraceEnv): boolean {
  const endpoint = env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT || env.OTEL_EXPORTER_OTLP_ENDPOINT;
  const isOff = env.OTEL_SDK_DISABLED?.toLowerCase() === 'true' || env.OTEL_TRACES_EXPORTER === 'none';
  return Boolean(endpoint) && !isOff;
}

const traceparentPattern = /^(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?$/;

/** undefined for what is no `traceparent` (https://www.w3.org/TR/trace-context/#traceparent-header). */
export function parseTraceparent(text: string | null | undefined): TraceContext | undefined {
  const [, traceId, spanId, flags] = traceparentPattern.exec(text?.trim() ?? '') ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  return { traceId, spanId, isSampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

export function formatTraceparent({ traceId, spanId, isSampled }: TraceContext): string {
  return `00-${traceId}-${spanId}-${isSampled ? '01' : '00'}`;
}

/**
 * A span for a job that a request creates.
 * @param traceparent of the request's own span
 * @returns undefined where the trace is not recorded
 */
export function newJobTrace(traceparent: string): JobTrace | undefined {
  const parent = parseTraceparent(traceparent);
  if (!parent?.isSampled) return undefined;
  const spanId = randomBytes(8).toString('hex');
  return { traceparent: formatTraceparent({ ...parent, spanId }), parentSpanId: parent.spanId };
}

/** `traceparent` of the request that a job was created by. */
export function parentOf({ traceparent, parentSpanId }: JobTrace): string | undefined {
  const own = parseTraceparent(traceparent);
  return own && formatTraceparent({ ...own, spanId: parentSpanId });
}

/** What a log line says of its trace; nothing where there is none. */
export function traceOfLog(traceparent: string | null | undefined): { readonly trace_id?: string } {
  const context = parseTraceparent(traceparent);
  return context ? { trace_id: context.traceId } : {};
}
