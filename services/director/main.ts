import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { type Logger, pino } from 'pino';
import { systemNamespace } from '../core/kubernetes-names.ts';
import { defaultPolicy } from '../core/scaling.ts';
import type { Fleet } from '../ports/fleet/port.ts';
import { createProcessFleet } from '../ports/fleet/processes.ts';
import { createHttpFleetProtocol, createRunnerTokens } from '../ports/fleet-protocol/http.ts';
import type { DirectorProtocol } from '../ports/fleet-protocol/port.ts';
import { peerToken } from '../ports/fleet-protocol/token.ts';
import { SourceRegistrar } from '../registrar/source.ts';
import { startRunner } from '../runner/app.ts';
import { openFileReceiver } from '../runner/file-receiver.ts';
import { startDirector } from './app.ts';
import { type DirectorEnv, parseDirectorEnv } from './env.ts';
import { createPolicies } from './policy.ts';
import { RunnerReports } from './runner-reports.ts';

/** What a director decides about, and how it speaks to the control plane. */
interface Ground {
  readonly fleet: Fleet;
  readonly protocol: DirectorProtocol;
  /** What runners say, where the fleet does not see them. */
  readonly reports?: RunnerReports;
  /** Ends it once the director has. */
  close(): Promise<void>;
}

/** Runs what the control plane asks for, as processes of this machine or as pods of a cluster, until SIGTERM. */
async function main(): Promise<void> {
  // The folder holds people's models, and may be one that others can enter.
  process.umask(0o077);
  const env = parseDirectorEnv(process.env);
  const logger = pino({ level: env.MIMEO_LOG_LEVEL, base: { service: 'director' } });
  const leaving = new AbortController();
  let end = async () => leaving.abort();
  const onSignal = (signal: string) => {
    if (leaving.signal.aborted) return;
    logger.info({ signal }, 'the director is leaving');
    end().catch(fail);
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  const ground =
    env.MIMEO_FLEET === 'kubernetes'
      ? await openCluster(env, logger, leaving.signal)
      : await openProcesses(env);
  // It was told to leave before it led.
  if (!ground || leaving.signal.aborted) process.exit(0);
  const director = startDirector({
    protocol: ground.protocol,
    fleet: ground.fleet,
    reports: ground.reports,
    policy: createPolicies({
      ...defaultPolicy,
      max: env.MIMEO_MAX_INSTANCES,
      idleSeconds: env.MIMEO_IDLE_SECONDS,
    }),
    logger,
  });
  end = async () => {
    leaving.abort();
    await director.close();
    await ground.fleet.close({ graceMs: env.MIMEO_DRAIN_GRACE_SECONDS * 1000 });
    await ground.close();
    process.exit(0);
  };
  logger.info({ url: env.MIMEO_URL, fleet: env.MIMEO_FLEET }, 'the director is ready');
}

async function openProcesses(env: DirectorEnv): Promise<Ground> {
  const { MIMEO_URL: url } = env;
  const token = tokenOf(env);
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
  const protocol = createHttpFleetProtocol({ url, token });
  return { fleet, protocol, close: async () => receiver.close() };
}

/** Waits until no other director of the cluster leads. @returns undefined where `signal` aborted first */
async function openCluster(
  env: DirectorEnv,
  logger: Logger,
  signal: AbortSignal,
): Promise<Ground | undefined> {
  const { MIMEO_RUNNER_IMAGE: runnerImage, MIMEO_MACHINES: shares } = env;
  if (runnerImage === undefined || shares === undefined)
    throw new Error('The schema of the environment has a gap');
  const [{ createKubernetesClient }, { createKubernetesFleet }, { lead }] = await Promise.all([
    import('../ports/fleet/kubernetes-client.ts'),
    import('../ports/fleet/kubernetes.ts'),
    import('../ports/fleet/leader.ts'),
  ]);
  const client = createKubernetesClient();
  const identity = `${hostname()}-${randomBytes(4).toString('hex')}`;
  logger.info({ identity }, 'waiting until no other director leads');
  const leadership = await lead(
    {
      client,
      namespace: systemNamespace,
      name: 'director',
      identity,
      onLost(why) {
        // Kubernetes starts it anew, and it waits for its turn.
        logger.error({ why }, 'this director leads no more');
        process.exit(1);
      },
      onProblem: (error) => logger.warn({ error: String(error) }, 'the Lease could not be read or written'),
    },
    signal,
  );
  if (!leadership) return undefined;
  const protocol = createHttpFleetProtocol({ url: env.MIMEO_URL, token: tokenOf(env) });
  const reports = new RunnerReports(protocol);
  const fleet = createKubernetesFleet({
    client,
    reports,
    capacity: env.MIMEO_MAX_INSTANCES,
    pods: {
      url: env.MIMEO_URL,
      runnerImage,
      shares,
      setupTimeoutSeconds: env.MIMEO_SETUP_TIMEOUT_SECONDS,
      drainGraceSeconds: env.MIMEO_DRAIN_GRACE_SECONDS,
      maxFileMib: env.MIMEO_MAX_FILE_MB,
    },
    mayAct: () => leadership.holds(),
    logger,
  });
  return { fleet, protocol, reports, close: async () => leadership.release() };
}

function tokenOf({ MIMEO_DIRECTOR_TOKEN: token, MIMEO_DIRECTOR_TOKEN_FILE: file }: DirectorEnv) {
  return peerToken({ token, file });
}

function fail(error: unknown): void {
  console.error(`mimeo director: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(1);
}

main().catch(fail);
