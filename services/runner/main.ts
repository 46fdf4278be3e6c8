import { pino } from 'pino';
import { wantsTraces } from '../core/trace.ts';
import { createHttpFleetProtocol } from '../ports/fleet-protocol/http.ts';
import { startRunner } from './app.ts';
import { parseRunnerEnv, type RunnerEnv } from './env.ts';
import { openFileReceiver } from './file-receiver.ts';
import type { SentFiles } from './output-files.ts';

/** Feeds a Cog server beside this process with jobs from a control plane, until SIGTERM. */
async function main(): Promise<void> {
  const env = parseRunnerEnv(process.env);
  const logger = pino({
    level: env.MIMEO_LOG_LEVEL,
    base: { instance: env.MIMEO_INSTANCE, pool: env.MIMEO_POOL },
  });
  const traces = wantsTraces(process.env)
    ? (await import('../ports/traces/otlp.ts')).createOtlpTraces({
        serviceName: 'mimeo-runner',
        onProblem: (message) => logger.warn({ problem: message }, 'traces cannot be sent'),
      })
    : undefined;
  const runner = startRunner({
    traces,
    protocol: createHttpFleetProtocol({ url: env.MIMEO_URL, token: env.MIMEO_RUNNER_TOKEN }),
    instanceId: env.MIMEO_INSTANCE,
    pool: { id: env.MIMEO_POOL, concurrency: env.MIMEO_CONCURRENCY, streams: env.MIMEO_STREAMS },
    cogUrl: env.COG_URL,
    sentFiles: await receiveFiles(env),
    setupTimeoutMs: env.MIMEO_SETUP_TIMEOUT_SECONDS * 1000,
    cancelGraceMs: env.MIMEO_CANCEL_GRACE_SECONDS * 1000,
  });
  const graceMs = env.MIMEO_DRAIN_GRACE_SECONDS * 1000;
  let ending = false;
  const end = async (exitCode: number) => {
    if (ending) return;
    ending = true;
    await runner.drain({ graceMs });
    await traces?.close();
    logger.info({ exitCode }, 'the runner has ended');
    process.exit(exitCode);
  };
  let phase = runner.phase;
  runner.onChange(() => {
    if (runner.phase !== phase) {
      phase = runner.phase;
      logger.info(
        { phase, setupSeconds: runner.setupSeconds, failure: runner.failure },
        'the phase has changed',
      );
    }
    // Whoever runs this process starts the pair anew.
    if (runner.failure || runner.broken !== null) {
      logger.error({ failure: runner.failure, broken: runner.broken }, 'the model server is of no more use');
      void end(1);
    }
  });
  process.on('SIGTERM', () => void end(0));
  process.on('SIGINT', () => void end(0));
}

async function receiveFiles(env: RunnerEnv): Promise<SentFiles | undefined> {
  if (env.COG_UPLOAD_URL === undefined) return undefined;
  const { port, pathname } = new URL(env.COG_UPLOAD_URL);
  const receiver = await openFileReceiver({ port: Number(port || 80) });
  return {
    door: receiver.door(pathname.slice(1)),
    maxBytes: Math.floor(env.MIMEO_MAX_FILE_MB * 1024 * 1024),
  };
}

main().catch((error: unknown) => {
  console.error(`mimeo runner: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(1);
});
