import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createAdaptorServer } from '@hono/node-server';
import { expect, it, onTestFinished, vi } from 'vitest';
import { sharedPoolId } from '../../services/core/pool.ts';
import { startModelProcess } from '../../services/ports/fleet/model-process.ts';
import { createOtlpTraces } from '../../services/ports/traces/otlp.ts';
import { openApi } from '../support/api.ts';
import { startReceiver } from '../support/receiver.ts';
import { scriptedModel } from './scripted-model.ts';

const main = join(import.meta.dirname, '../../services/runner/main.ts');

interface Sent {
  readonly service: string;
  readonly name: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
}

it('a runner that is a process of its own adds its spans to the trace that the api began', async () => {
  const collector = await startReceiver((response) =>
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}'),
  );
  onTestFinished(collector.close);
  vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', collector.url);
  vi.stubEnv('OTEL_BSP_SCHEDULE_DELAY', '50');
  onTestFinished(() => void vi.unstubAllEnvs());
  const traces = createOtlpTraces({ serviceName: 'api', onProblem: (message) => console.error(message) });
  const test = await openApi(undefined, { traces, now: Date.now });
  onTestFinished(test.close);
  const { id: version } = await test.addModel({ name: 'scripted' });
  const server = createAdaptorServer({ fetch: test.api.fetch }) as Server;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const cog = await startModelProcess(await scriptedModel(), 1);
  onTestFinished(() => cog.stop(0));
  const pool = sharedPoolId({ model: 'local/scripted', version, hardware: 'cpu' });
  const runner = spawn(process.execPath, [main], {
    env: {
      PATH: process.env.PATH,
      MIMEO_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      MIMEO_RUNNER_TOKEN: test.api.fleetTokens.mint({ role: 'runner', pool }, 3600),
      MIMEO_INSTANCE: 'i-1',
      MIMEO_POOL: pool,
      COG_URL: `http://127.0.0.1:${cog.port}`,
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  onTestFinished(() => void runner.kill('SIGKILL'));

  const traceId = 'd'.repeat(32);
  const created = await test.call(
    'POST',
    '/v1/models/local/scripted/predictions',
    { input: { script: 'say:hello' } },
    { prefer: 'wait=30', traceparent: `00-${traceId}-${'e'.repeat(16)}-01` },
  );
  expect(await created.json()).toMatchObject({ status: 'succeeded' });
  // What it has not sent yet, it sends when it ends.
  runner.kill('SIGTERM');
  expect(await once(runner, 'exit')).toEqual([0, null]);
  await traces.close();

  const sent: Sent[] = collector.received.flatMap(({ body }) =>
    JSON.parse(body).resourceSpans.flatMap(
      (from: {
        resource: { attributes: { key: string; value: { stringValue: string } }[] };
        scopeSpans: { spans: Sent[] }[];
      }) => {
        const service = from.resource.attributes.find(({ key }) => key === 'service.name')?.value.stringValue;
        return from.scopeSpans.flatMap(({ spans }) => spans.map((span) => ({ ...span, service })));
      },
    ),
  );
  const named = (name: string) => sent.find((span) => span.name === name);
  expect(named('prediction')?.service).toBe('api');
  expect(named('run')).toMatchObject({ service: 'mimeo-runner', parentSpanId: named('prediction')?.spanId });
  expect(named('PUT /predictions/{id}')?.parentSpanId).toBe(named('run')?.spanId);
});
