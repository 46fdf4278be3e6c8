import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { traceEnvironment } from '../../services/registrar/trace-environment.ts';

async function environmentWith(...packages: string[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'mimeo-venv-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  for (const name of packages)
    await mkdir(join(folder, 'lib/python3.11/site-packages', name), { recursive: true });
  return folder;
}

const packages = ['opentelemetry/sdk/trace', 'opentelemetry/exporter/otlp/proto/http/trace_exporter'];
const collector = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318' };

test('a model with the packages is told where traces go, and no more than that', async () => {
  const environment = await environmentWith(...packages);
  const from = { ...collector, OTEL_EXPORTER_OTLP_HEADERS: 'authorization=secret' };

  expect(await traceEnvironment(environment, from)).toEqual({
    ...collector,
    COG_TRACE_ENABLED: 'true',
    COG_TRACE_CONFIGURED: 'true',
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf',
  });
  expect(
    await traceEnvironment(environment, { ...from, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://a/b' }),
  ).toMatchObject({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://a/b' });
});

test.each([
  ['without a collector', packages, {}],
  ['with traces turned off', packages, { ...collector, OTEL_SDK_DISABLED: 'true' }],
  ['where the address holds a password', packages, { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://me:pass@host' }],
  ['that lacks the exporter', packages.slice(0, 1), collector],
  ['that was never made', [], collector],
])('a model is told nothing %s', async (_, installed, from) => {
  expect(await traceEnvironment(await environmentWith(...installed), from)).toEqual({});
});
