import {
  type Attributes,
  DiagLogLevel,
  diag,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources';
import { BasicTracerProvider, BatchSpanProcessor, RandomIdGenerator } from '@opentelemetry/sdk-trace-base';
import { formatTraceparent, parseTraceparent } from '../../core/trace.ts';
import type { Span, SpanOptions, Traces } from './port.ts';

/** How long a stop waits for a collector. */
const closeMs = 3000;

const kinds = { server: SpanKind.SERVER, client: SpanKind.CLIENT, internal: SpanKind.INTERNAL } as const;

/**
 * Traces that are sent as OTLP over HTTP (JSON), in groups, to where the standard `OTEL_*` variables say. Load this
 * module only where they are wanted: it brings the SDK with it.
 * @param options.serviceName where `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` give none
 * @param options.onProblem told where a setting is wrong or a collector cannot be reached
 */
export function createOtlpTraces(options: {
  readonly serviceName: string;
  readonly onProblem: (message: string) => void;
}): Traces {
  const tell = (message: string) => options.onProblem(message);
  diag.setLogger({ error: tell, warn: tell, info() {}, debug() {}, verbose() {} }, DiagLogLevel.WARN);
  const ids = new SettledIds();
  const named = resourceFromAttributes({ 'service.name': options.serviceName });
  const provider = new BasicTracerProvider({
    idGenerator: ids,
    resource: named.merge(detectResources({ detectors: [envDetector] })),
    spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())],
  });
  const tracer = provider.getTracer('mimeo');
  return {
    begin(name, { kind, parent, attributes, startAt, traceparent }) {
      ids.next = parseTraceparent(traceparent)?.spanId;
      const span = tracer.startSpan(
        name,
        {
          kind: kinds[kind],
          attributes: attributes as Attributes,
          ...(startAt === undefined ? {} : { startTime: new Date(startAt) }),
        },
        contextOf(parent),
      );
      ids.next = undefined;
      return asSpan(span);
    },
    async close() {
      const over = new Promise<void>((done) => setTimeout(done, closeMs).unref());
      await Promise.race([provider.shutdown().catch(() => {}), over]);
    },
  };
}

function asSpan(span: ReturnType<ReturnType<BasicTracerProvider['getTracer']>['startSpan']>): Span {
  const { traceId, spanId, traceFlags } = span.spanContext();
  return {
    traceparent: formatTraceparent({ traceId, spanId, isSampled: (traceFlags & 1) === 1 }),
    end({ name, attributes, error, endAt } = {}) {
      if (name !== undefined) span.updateName(name);
      if (attributes) span.setAttributes(attributes as Attributes);
      if (error !== undefined) {
        span.setAttribute('error.type', error);
        span.setStatus({ code: SpanStatusCode.ERROR, message: error });
      }
      span.end(endAt === undefined ? undefined : new Date(endAt));
    },
  };
}

function contextOf(parent: SpanOptions['parent']) {
  const context = parseTraceparent(parent);
  if (!context) return ROOT_CONTEXT;
  const { traceId, spanId, isSampled } = context;
  return trace.setSpanContext(ROOT_CONTEXT, {
    traceId,
    spanId,
    traceFlags: isSampled ? 1 : 0,
    isRemote: true,
  });
}

/** Random ids, but for a span whose id was told to others before it is recorded. */
class SettledIds extends RandomIdGenerator {
  next: string | undefined;

  constructor() {
    super();
    const random = this.generateSpanId;
    this.generateSpanId = () => this.next ?? random();
  }
}
