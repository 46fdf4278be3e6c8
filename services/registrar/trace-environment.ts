import { access, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type TraceEnv, wantsTraces } from '../core/trace.ts';

/**
 * The variables by which a model's Cog server records spans of its own (coglet 0.23): none where nobody wants traces,
 * or where the model's environment lacks OpenTelemetry's packages, without which its setup would fail. Headers are left
 * out, which may hold a key; so are endpoints with a password or a query.
 * @param environment the folder of the model's virtual environment
 */
export async function traceEnvironment(
  environment: string,
  from: TraceEnv = process.env,
): Promise<Record<string, string>> {
  const { OTEL_EXPORTER_OTLP_ENDPOINT: all, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: traces } = from;
  const endpoint = traces || all;
  if (!endpoint || !wantsTraces(from) || /\/\/[^/]*@|\?/.test(endpoint)) return {};
  if (!(await hasExporter(environment))) return {};
  return {
    COG_TRACE_ENABLED: 'true',
    COG_TRACE_CONFIGURED: 'true',
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf',
    [traces ? 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT' : 'OTEL_EXPORTER_OTLP_ENDPOINT']: endpoint,
  };
}

/** Whether what coglet's worker imports is there. */
async function hasExporter(environment: string): Promise<boolean> {
  const lib = join(environment, 'lib');
  const pythons = await readdir(lib).catch(() => []);
  const wanted = ['opentelemetry/sdk/trace', 'opentelemetry/exporter/otlp/proto/http/trace_exporter'];
  const found = pythons.map(async (python) =>
    Promise.all(wanted.map(async (name) => access(join(lib, python, 'site-packages', name)))).then(
      () => true,
      () => false,
    ),
  );
  return (await Promise.all(found)).includes(true);
}
