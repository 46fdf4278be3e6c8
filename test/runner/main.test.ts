import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAdaptorServer } from '@hono/node-server';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { podName } from '../../services/core/kubernetes-names.ts';
import { sharedPoolId } from '../../services/core/pool.ts';
import { startModelProcess } from '../../services/ports/fleet/model-process.ts';
import type { DirectorProtocol } from '../../services/ports/fleet-protocol/port.ts';
import { createOtlpTraces } from '../../services/ports/traces/otlp.ts';
import { openApi, schemaWith, type TestApi } from '../support/api.ts';
import { startClusterIssuer } from '../support/cluster-issuer.ts';
import { freePort } from '../support/free-port.ts';
import { startReceiver } from '../support/receiver.ts';
import { makeGate } from './instance.ts';
import { scriptedModel } from './scripted-model.ts';

const main = join(import.meta.dirname, '../../services/runner/main.ts');

/** The api on a port of its own, until the test ends. */
async function serve(test: TestApi): Promise<string> {
  const server = createAdaptorServer({ fetch: test.api.fetch }) as Server;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

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
  const url = await serve(test);
  const cog = await startModelProcess(await scriptedModel(), 1);
  onTestFinished(() => cog.stop(0));
  const pool = sharedPoolId({ model: 'local/scripted', version, hardware: 'cpu' });
  const runner = spawn(process.execPath, [main], {
    env: {
      PATH: process.env.PATH,
      MIMEO_URL: url,
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

describe('a runner beside a model in a cluster', () => {
  let test: TestApi;
  let pool: string;
  let instance: string;
  let runner: ChildProcess;
  let door: string;
  let director: DirectorProtocol;

  /** What the director hears of the instance. */
  const report = async () =>
    (await director.demand({ waitSeconds: 0, reportsAfter: 0 })).reports?.find(
      (one) => one.instance === instance && one.pool === pool,
    );
  const phase = async () => (await report())?.phase;

  async function start(): Promise<void> {
    const { issuer, runnerToken } = await startClusterIssuer();
    test = await openApi(undefined, {
      now: Date.now,
      cluster: { issuer, directorAccount: 'mimeo:director' },
    });
    onTestFinished(test.close);
    const openapiSchema = schemaWith({ script: { type: 'string' }, gate: { type: 'string' } });
    const { id: version } = await test.addModel({ name: 'scripted' }, { openapiSchema });
    pool = sharedPoolId({ model: 'local/scripted', version, hardware: 'cpu' });
    instance = podName(pool, '0123abcd');
    director = test.api.dispatch.protocolFor({ role: 'director' });
    const folder = await mkdtemp(join(tmpdir(), 'mimeo-runner-token-'));
    onTestFinished(async () => rm(folder, { recursive: true }));
    const tokenFile = join(folder, 'token');
    await writeFile(tokenFile, await runnerToken(instance));
    const url = await serve(test);
    const cog = await startModelProcess(await scriptedModel(), 1);
    onTestFinished(() => cog.stop(0));
    const drainPort = await freePort();
    door = `http://127.0.0.1:${drainPort}`;
    runner = spawn(process.execPath, [main], {
      env: {
        PATH: process.env.PATH,
        MIMEO_URL: url,
        MIMEO_RUNNER_TOKEN_FILE: tokenFile,
        MIMEO_INSTANCE: instance,
        MIMEO_POOL: pool,
        MIMEO_REPORTS: 'true',
        MIMEO_DRAIN_PORT: String(drainPort),
        MIMEO_LOG_LEVEL: 'silent',
        COG_URL: `http://127.0.0.1:${cog.port}`,
      },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    onTestFinished(() => void runner.kill('SIGKILL'));
    await expect.poll(phase, { timeout: 20_000 }).toBe('ready');
  }

  async function create(input: object, wait = 30): Promise<{ id: string; status: string; output: unknown }> {
    const headers: Record<string, string> = wait > 0 ? { prefer: `wait=${wait}` } : {};
    const answer = await test.call('POST', '/v1/models/local/scripted/predictions', { input }, headers);
    return (await answer.json()) as { id: string; status: string; output: unknown };
  }
  const read = async (id: string) =>
    (await (await test.call('GET', `/v1/predictions/${id}`)).json()) as { status: string; output: unknown };
  const status = async (id: string) => (await read(id)).status;

  async function endsBySigterm(): Promise<void> {
    expect(runner.exitCode).toBeNull();
    runner.kill('SIGTERM');
    expect(await once(runner, 'exit')).toEqual([0, null]);
  }

  it('serves by the token of its pod, and drains for the kubelet', async () => {
    await start();
    expect(await create({ script: 'say:hello' })).toMatchObject({ status: 'succeeded', output: 'hello' });
    const gate = await makeGate();
    const { id } = await create({ script: 'wait:go say:done', gate: gate.path }, 0);
    await expect.poll(() => status(id)).toBe('processing');

    const drained = fetch(`${door}/drain`);
    await expect.poll(phase).toBe('draining');
    expect((await fetch(`${door}/healthz`)).status).toBe(200);
    expect((await fetch(`${door}/drain`, { method: 'POST' })).status).toBe(404);
    expect((await fetch(`${door}/`)).status).toBe(404);
    await gate.open('go');

    expect((await drained).status).toBe(200);
    expect(await read(id)).toMatchObject({ status: 'succeeded', output: 'done' });
    await expect.poll(phase).toBe('drained');
    const late = await create({ script: 'say:late' }, 0);
    expect(await status(late.id)).toBe('starting');
    await endsBySigterm();
  });

  it('drains by an order of its director', async () => {
    await start();
    const gate = await makeGate();
    const { id } = await create({ script: 'wait:never', gate: gate.path }, 0);
    await expect.poll(() => status(id)).toBe('processing');

    await director.drain({ pool, instance, graceSeconds: 0.1 });

    await expect.poll(phase).toBe('drained');
    expect(await status(id)).toBe('starting');
    await endsBySigterm();
  });

  it('says that its model has died, and stays, so that Kubernetes does not start it anew', async () => {
    await start();
    await create({ script: 'kill' }, 0);

    const ofNoUse = { phase: 'drained', broken: expect.stringContaining('died') };
    await expect.poll(report, { timeout: 20_000 }).toMatchObject(ofNoUse);
    await endsBySigterm();
  });
});
