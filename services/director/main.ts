import { randomBytes } from 'node:crypto';
import { resolve } from 'node:path';
import { pino } from 'pino';
import { defaultPolicy } from '../core/scaling.ts';
import { createProcessFleet } from '../ports/fleet/processes.ts';
import { createHttpFleetProtocol, createRunnerTokens } from '../ports/fleet-protocol/http.ts';
import { SourceRegistrar } from '../registrar/source.ts';
import { startRunner } from '../runner/app.ts';
import { openFileReceiver } from '../runner/file-receiver.ts';
import { startDirector } from './app.ts';
import { parseDirectorEnv } from './env.ts';
import { createPolicies } from './policy.ts';
import { directorToken } from './token.ts';

/** Runs what the control plane asks for as processes of this machine, until SIGTERM. */
async function main(): Promise<void> {
  // The folder holds people's models, and may be one that others can enter.
  process.umask(0o077);
  const env = parseDirectorEnv(process.env);
  const logger = pino({ level: env.MIMEO_LOG_LEVEL, base: { service: 'director' } });
  const { MIMEO_URL: url } = env;
  const token = directorToken(env);
  const runnerTokens = createRunnerTokens({ url, token });
  const registrar = new SourceRegistrar({ home: resolve(env.MIMEO_HOME), python: env.MIMEO_PYTHON });
  const receiver = await openFileReceiver();
  const doors = new Map<string, ReturnType<typeof receiver.door>>();
  const doorOf = (instance: string) => {
    const door = doors.get(instance) ?? receiver.door(randomBytes(32).toString('hex'));
    doors.set(instance, door);
    return door;
  };
  const fleet = createProcessFleet({
    capacity: env.MIMEO_MAX_INSTANCES,
    launch: async (pool, id) => registrar.launch(pool.version, { uploadUrl: doorOf(id).url }),
    startRunner({ id, pool, cogUrl, serverLog, outOfMemory }) {
      const door = doorOf(id);
      doors.delete(id);
      return startRunner({
        protocol: createHttpFleetProtocol({ url, token: async () => runnerTokens.of(pool.id) }),
        instanceId: id,
        pool,
        cogUrl,
        serverLog,
        outOfMemory,
        sentFiles: { door, maxBytes: Math.floor(env.MIMEO_MAX_FILE_MB * 1024 * 1024) },
        setupTimeoutMs: env.MIMEO_SETUP_TIMEOUT_SECONDS * 1000,
      });
    },
  });
  const director = startDirector({
    protocol: createHttpFleetProtocol({ url, token }),
    fleet,
    policy: createPolicies({
      ...defaultPolicy,
      max: env.MIMEO_MAX_INSTANCES,
      idleSeconds: env.MIMEO_IDLE_SECONDS,
    }),
    logger,
  });
  logger.info({ url }, 'the director is ready');
  let isEnding = false;
  const end = async (signal: string) => {
    if (isEnding) return;
    isEnding = true;
    logger.info({ signal }, 'the director is leaving');
    await director.close();
    await fleet.close({ graceMs: env.MIMEO_DRAIN_GRACE_SECONDS * 1000 });
    await receiver.close();
    process.exit(0);
  };
  process.on('SIGTERM', (signal) => void end(signal).catch(fail));
  process.on('SIGINT', (signal) => void end(signal).catch(fail));
}

function fail(error: unknown): void {
  console.error(`mimeo director: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(1);
}

main().catch(fail);
