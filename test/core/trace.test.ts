import { expect, test } from 'vitest';
import {
  formatTraceparent,
  newJobTrace,
  parentOf,
  parseTraceparent,
  traceOfLog,
  wantsTraces,
} from '../../services/core/trace.ts';

const traceId = '0af7651916cd43dd8448eb211c80319c';
const spanId = 'b7ad6b7169203331';

test.each([
  [`00-${traceId}-${spanId}-01`, true],
  [`00-${traceId}-${spanId}-03`, true],
  [`00-${traceId}-${spanId}-00`, false],
  // A later version may say more.
  [`cc-${traceId}-${spanId}-01-more`, true],
])('%s is read', (text, isSampled) => {
  expect(parseTraceparent(text)).toEqual({ traceId, spanId, isSampled });
});

test.each([
  undefined,
  null,
  '',
  'nonsense',
  `ff-${traceId}-${spanId}-01`,
  `00-${'0'.repeat(32)}-${spanId}-01`,
  `00-${traceId}-${'0'.repeat(16)}-01`,
  `00-${traceId.toUpperCase()}-${spanId}-01`,
  `00-${traceId}-${spanId}`,
])('%s is no trace context', (text) => {
  expect(parseTraceparent(text)).toBeUndefined();
  expect(traceOfLog(text)).toEqual({});
});

test('a job gets a span of its own in the trace of its request, where that is recorded', () => {
  const request = `00-${traceId}-${spanId}-01`;
  const trace = newJobTrace(request);
  const own = parseTraceparent(trace?.traceparent);

  expect(own).toMatchObject({ traceId, isSampled: true });
  expect(own?.spanId).not.toBe(spanId);
  expect(trace && parentOf(trace)).toBe(request);
  expect(newJobTrace(formatTraceparent({ traceId, spanId, isSampled: false }))).toBeUndefined();
});

test('traces are wanted where somebody said where they go and nobody turned them off', () => {
  const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318' };

  expect(wantsTraces({})).toBe(false);
  expect(wantsTraces({ OTEL_EXPORTER_OTLP_ENDPOINT: '' })).toBe(false);
  expect(wantsTraces(endpoint)).toBe(true);
  expect(wantsTraces({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://127.0.0.1:4318/x' })).toBe(true);
  expect(wantsTraces({ ...endpoint, OTEL_SDK_DISABLED: 'TRUE' })).toBe(false);
  expect(wantsTraces({ ...endpoint, OTEL_TRACES_EXPORTER: 'none' })).toBe(false);
});
