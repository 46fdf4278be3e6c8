import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type LocalServer, newHome, type TestHome } from '../support/local-server.ts';
import { type Receiver, startReceiver } from '../support/receiver.ts';

const soon = { timeout: 20_000, interval: 20 };
const traceId = '0af7651916cd43dd8448eb211c80319c';
const callersSpan = 'b7ad6b7169203331';

/** A span as OTLP has it, in JSON. */
interface ExportedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly status: { readonly code?: number; readonly message?: string };
  readonly attributes: readonly { readonly key: string; readonly value: Record<string, unknown> }[];
}

let home: TestHome;
let server: LocalServer;
let collector: Receiver;
let receiver: Receiver;

/** OTLP's answer is an object of JSON. */
async function startCollector(): Promise<Receiver> {
  return await startReceiver((response) =>
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}'),
  );
}

beforeAll(async () => {
  collector = await startCollector();
  receiver = await startReceiver();
  home = await newHome();
  server = await home.start({
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_EXPORTER_OTLP_HEADERS: 'x-collector-key=abc',
    OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test',
    OTEL_SERVICE_NAME: 'mimeo-under-test',
    OTEL_BSP_SCHEDULE_DELAY: '50',
    MIMEO_LOG_LEVEL: 'info',
  });
  for (const name of ['noop', 'raises', 'sleeper', 'file-out']) await server.push(`test/models/${name}`);
});
afterAll(async () => {
  await home.remove();
  await receiver.close();
  await collector.close();
});

function spansOf(trace: string): ExportedSpan[] {
  return (
    collector.received
      // Cog sends protobuf.
      .filter(({ headers }) => headers['content-type'] === 'application/json')
      .flatMap(({ body }) => JSON.parse(body).resourceSpans)
      .flatMap(({ scopeSpans }) => scopeSpans)
      .flatMap(({ spans }) => spans as ExportedSpan[])
      .filter((span) => span.traceId === trace)
  );
}

/** The spans of a trace by their names, once all of these have arrived. */
async function arrived(trace: string, ...names: string[]): Promise<Record<string, ExportedSpan>> {
  return await vi.waitFor(() => {
    const spans = Object.fromEntries(spansOf(trace).map((span) => [span.name, span]));
    expect(Object.keys(spans)).toEqual(expect.arrayContaining(names));
    return spans;
  }, soon);
}

function attribute(span: ExportedSpan | undefined, key: string): unknown {
  return Object.values(span?.attributes.find((one) => one.key === key)?.value ?? {})[0];
}

const create = 'POST /v1/models/{owner}/{name}/predictions';

describe('with a collector', () => {
  it("the spans of a prediction form one tree under its caller's span, its webhook among them", async () => {
    const body = { input: { text: 'very private' }, webhook: `${receiver.url}/hidden-path` };
    const prediction = await server.json('POST', '/models/local/noop/predictions', body, {
      prefer: 'wait',
      traceparent: `00-${traceId}-${callersSpan}-01`,
    });

    const names = [create, 'prediction', 'queue', 'run', 'PUT /predictions/{id}', 'POST'];
    const spans = await arrived(traceId, ...names);
    const parents = Object.fromEntries(
      names.map((name) => {
        const parent = Object.values(spans).find(({ spanId }) => spanId === spans[name]?.parentSpanId);
        return [name, parent?.name ?? spans[name]?.parentSpanId];
      }),
    );
    expect(parents).toEqual({
      [create]: callersSpan,
      prediction: create,
      queue: 'prediction',
      run: 'prediction',
      'PUT /predictions/{id}': 'run',
      POST: 'prediction',
    });
    expect([create, 'prediction', 'POST'].map((name) => spans[name]?.kind)).toEqual([2, 1, 3]);
    expect(Object.values(spans).map(({ status }) => status.code ?? 0)).toEqual(
      Object.values(spans).map(() => 0),
    );
    expect(attribute(spans[create], 'http.response.status_code')).toBe(201);
    expect(attribute(spans[create], 'http.route')).toBe('/v1/models/{owner}/{name}/predictions');
    expect(attribute(spans.prediction, 'mimeo.prediction.id')).toBe(prediction.id);
    expect(attribute(spans.prediction, 'mimeo.model')).toBe('local/noop');
    expect(attribute(spans.prediction, 'mimeo.status')).toBe('succeeded');
    for (const span of Object.values(spans))
      expect(BigInt(span.endTimeUnixNano)).toBeGreaterThanOrEqual(BigInt(span.startTimeUnixNano));

    const sent = receiver.received.find(({ headers }) => String(headers['webhook-id']).includes('-start-'));
    expect(sent?.headers.traceparent).toMatch(new RegExp(`^00-${traceId}-[0-9a-f]{16}-01$`));
    expect(server.stderr()).toMatch(new RegExp(`"path":"/v1/models/local/noop/.*"trace_id":"${traceId}"`));
    const all = collector.received.map((one) => one.body).join();
    for (const secret of ['very private', 'hidden-path', server.token]) expect(all).not.toContain(secret);
  });

  it('is told who sends, as the standard variables say', () => {
    const first = collector.received.find(({ path }) => path === '/v1/traces');

    expect(first?.headers['x-collector-key']).toBe('abc');
    const { attributes } = JSON.parse(first?.body ?? '').resourceSpans[0].resource;
    expect(attributes).toEqual(
      expect.arrayContaining([
        { key: 'service.name', value: { stringValue: 'mimeo-under-test' } },
        { key: 'deployment.environment.name', value: { stringValue: 'test' } },
      ]),
    );
  });

  it('a prediction without a caller that traces is a trace of its own', async () => {
    const { id } = await server.json('POST', '/models/local/noop/predictions', { input: {} });
    await server.endOf(id);

    const trace = await vi.waitFor(() => {
      const line = server
        .stderr()
        .match(/"method":"POST","path":"\/v1\/models\/local\/noop\/predictions".*/g);
      const found = /"trace_id":"([0-9a-f]{32})"/.exec(line?.at(-1) ?? '')?.[1];
      if (found === undefined || found === traceId) throw new Error('no line yet');
      return found;
    }, soon);
    const spans = await arrived(trace, create, 'prediction', 'run');
    expect(spans[create]?.parentSpanId ?? '').toBe('');
  });

  it('a failed one and a canceled one say so, and a file that is stored is seen', async () => {
    const ids = ['1', '2', '3'].map((digit) => digit.repeat(32));
    const begin = async (trace: string | undefined, model: string, input: object, wait = true) =>
      server.json(
        'POST',
        `/models/local/${model}/predictions`,
        { input },
        {
          traceparent: `00-${trace}-${callersSpan}-01`,
          ...(wait ? { prefer: 'wait' } : {}),
        },
      );
    await begin(ids[0], 'raises', { message: 'a private message' });
    const sleeping = await begin(ids[1], 'sleeper', { seconds: 60 }, false);
    await vi.waitFor(async () => {
      expect((await server.json('GET', `/predictions/${sleeping.id}`)).status).toBe('processing');
    }, soon);
    await server.json('POST', `/predictions/${sleeping.id}/cancel`);
    await begin(ids[2], 'file-out', { text: 'x' });

    const failed = await arrived(String(ids[0]), 'prediction', 'run', 'PUT /predictions/{id}');
    expect(failed.prediction?.status).toMatchObject({ code: 2, message: 'model_error' });
    expect(failed.run?.status.code).toBe(2);
    expect(failed[create]?.status.code ?? 0).toBe(0);
    const canceled = await arrived(String(ids[1]), 'prediction', 'run', 'PUT /predictions/{id}');
    expect(canceled.prediction?.status).toMatchObject({ code: 2, message: 'canceled' });
    expect(attribute(canceled.prediction, 'mimeo.status')).toBe('canceled');
    const stored = await arrived(String(ids[2]), 'prediction', 'run', 'store files');
    expect(stored['store files']?.parentSpanId).toBe(stored.run?.spanId);
    expect(collector.received.map(({ body }) => body).join()).not.toContain('a private message');
  });

  it("a model that has OpenTelemetry's packages has its own spans in the trace", async () => {
    await server.push('test/models/traced');
    // Bytes that read as text, in a body of protobuf.
    const trace = Buffer.from('abcdefghijklmnop').toString('hex');
    await server.json(
      'POST',
      '/models/local/traced/predictions',
      { input: { text: 'x' } },
      {
        prefer: 'wait',
        traceparent: `00-${trace}-${callersSpan}-01`,
      },
    );

    const names = ['cog.predict', 'cog.prediction.invoke', 'of the model'];
    await vi.waitFor(() => {
      const bodies = collector.received
        .map(({ body }) => body)
        .filter((body) => body.includes('abcdefghijklmnop'));
      for (const name of names)
        expect(
          bodies.some((body) => body.includes(name)),
          name,
        ).toBe(true);
    }, soon);
  });

  it('a trace that its caller does not record is not recorded here', async () => {
    const unrecorded = '4'.repeat(32);
    const recorded = '5'.repeat(32);
    for (const [trace, flags] of [
      [unrecorded, '00'],
      [recorded, '01'],
    ]) {
      await server.json(
        'POST',
        '/models/local/noop/predictions',
        { input: {} },
        {
          prefer: 'wait',
          traceparent: `00-${trace}-${callersSpan}-${flags}`,
        },
      );
    }

    await arrived(recorded, create, 'prediction', 'run');
    expect(spansOf(unrecorded)).toEqual([]);
  });
});

describe('without a collector, or turned off', () => {
  it.each([
    ['no endpoint', (_: string) => ({ OTEL_SERVICE_NAME: 'x' })],
    ['OTEL_SDK_DISABLED', (url: string) => ({ OTEL_EXPORTER_OTLP_ENDPOINT: url, OTEL_SDK_DISABLED: 'true' })],
    [
      'OTEL_TRACES_EXPORTER',
      (url: string) => ({ OTEL_EXPORTER_OTLP_ENDPOINT: url, OTEL_TRACES_EXPORTER: 'none' }),
    ],
  ])('nothing is sent: %s', async (_, env) => {
    const silent = await startCollector();
    const other = await newHome();
    try {
      const started = await other.start({ OTEL_BSP_SCHEDULE_DELAY: '10', ...env(silent.url) });
      const run = started.json(
        'POST',
        '/models/local/hello-world/predictions',
        { input: {} },
        { prefer: 'wait' },
      );
      expect((await run).status).toBe('succeeded');
      await started.stop();

      expect(silent.received).toEqual([]);
    } finally {
      await other.remove();
      await silent.close();
    }
  });
});

it('a stop sends what was not sent yet', async () => {
  const late = await startCollector();
  const other = await newHome();
  try {
    const started = await other.start({
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${late.url}/elsewhere`,
      OTEL_BSP_SCHEDULE_DELAY: '600000',
    });
    await started.json('GET', '/account');
    expect(late.received).toEqual([]);
    await started.stop();

    expect(late.received.map(({ path }) => path)).toEqual(['/elsewhere']);
  } finally {
    await other.remove();
    await late.close();
  }
});

it('a collector that is away is told of in the log, and holds up nothing', async () => {
  const gone = await startCollector();
  await gone.close();
  const other = await newHome();
  try {
    const started = await other.start({
      OTEL_EXPORTER_OTLP_ENDPOINT: gone.url,
      OTEL_EXPORTER_OTLP_TIMEOUT: '300',
      OTEL_BSP_SCHEDULE_DELAY: '50',
    });
    const run = started.json(
      'POST',
      '/models/local/hello-world/predictions',
      { input: {} },
      { prefer: 'wait' },
    );
    expect((await run).status).toBe('succeeded');

    await vi.waitFor(() => expect(started.stderr()).toContain('traces cannot be sent'), soon);
    const stoppingAt = performance.now();
    expect((await started.stop()).code).toBe(0);
    expect(performance.now() - stoppingAt).toBeLessThan(10_000);
  } finally {
    await other.remove();
  }
});
