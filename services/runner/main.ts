import { setTimeout as pause } from 'node:timers/promises';
import { pino } from 'pino';
import { wantsTraces } from '../core/trace.ts';
import { createHttpFleetProtocol } from '../ports/fleet-protocol/http.ts';
import { peerToken } from '../ports/fleet-protocol/token.ts';
import { startRunner } from './app.ts';
import { openDrainServer } from './drain-server.ts';
import { parseRunnerEnv, type RunnerEnv } from './env.ts';
import { openFileReceiver } from './file-receiver.ts';
import { InstanceReporter } from './instance-reports.ts';
import type { SentFiles } from './output-files.ts';

/** How long an image may take to be pulled, and its server to answer, where both are started at once. */
const firstAnswerMs = 3_600_000;
/** How long the last report of an instance may take before the process ends. */
const lastReportMs = 5000;
/** How long a runner may take to report what a server's death has done. */
const crashReportMs = 30_000;

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
  const { MIMEO_RUNNER_TOKEN: token, MIMEO_RUNNER_TOKEN_FILE: file } = env;
  const protocol = createHttpFleetProtocol({
    url: env.MIMEO_URL,
    token: peerToken({ token, file }),
    // A token that Kubernetes has made says nothing of pools.
    pool: file === undefined ? undefined : env.MIMEO_POOL,
  });
  const runner = startRunner({
    traces,
    protocol,
    instanceId: env.MIMEO_INSTANCE,
    pool: { id: env.MIMEO_POOL, concurrency: env.MIMEO_CONCURRENCY, streams: env.MIMEO_STREAMS },
    cogUrl: env.COG_URL,
    sentFiles: await receiveFiles(env),
    setupTimeoutMs: env.MIMEO_SETUP_TIMEOUT_SECONDS * 1000,
    cancelGraceMs: env.MIMEO_CANCEL_GRACE_SECONDS * 1000,
    takesOrders: env.MIMEO_REPORTS,
    firstAnswerMs: env.MIMEO_REPORTS ? firstAnswerMs : undefined,
  });
  const reporter = env.MIMEO_REPORTS
    ? new InstanceReporter({
        protocol,
        instanceId: env.MIMEO_INSTANCE,
        runner,
        onProblem: (error) => logger.warn({ error: String(error) }, 'a report was not taken; trying again'),
      })
    : undefined;
  const graceMs = env.MIMEO_DRAIN_GRACE_SECONDS * 1000;
  let ending = false;
  const end = async (exitCode: number) => {
    if (ending) return;
    ending = true;
    await runner.drain({ graceMs });
    await Promise.race([reporter?.settled(), pause(lastReportMs)]);
    await traces?.close();
    logger.info({ exitCode }, 'the runner has ended');
    process.exit(exitCode);
  };
  let phase = runner.phase;
  let isUseless = false;
  runner.onChange(() => {
    if (runner.phase !== phase) {
      phase = runner.phase;
      logger.info(
        { phase, setupSeconds: runner.setupSeconds, failure: runner.failure },
        'the phase has changed',
      );
    }
    if (isUseless || (!runner.failure && runner.broken === null)) return;
    isUseless = true;
    logger.error({ failure: runner.failure, broken: runner.broken }, 'the model server is of no more use');
    // Whoever runs this process starts the pair anew; or learns of it by its reports, and would start it for nothing.
    if (reporter) void runner.drain({ graceMs: Math.min(graceMs, crashReportMs) });
    else void end(1);
  });
  process.on('SIGTERM', () => void end(0));
  process.on('SIGINT', () => void end(0));
  if (env.MIMEO_DRAIN_PORT !== undefined) {
    await openDrainServer({
      port: env.MIMEO_DRAIN_PORT,
      drain: async () => {
        logger.info('the runner was asked to drain');
        await runner.drain({ graceMs });
      },
    });
  }
  // Once it has drained there may be nothing else that keeps the process, which must not end by itself.
  if (reporter) setInterval(() => {}, 60_000);
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
