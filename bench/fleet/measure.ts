import { setTimeout as pause } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { modelsNamespace, priorityClassOf, runnerAccount } from '../../services/core/kubernetes-names.ts';
import { percentile } from '../../services/core/percentile.ts';
import { type Pool, sharedPoolId } from '../../services/core/pool.ts';
import { defaultPolicy } from '../../services/core/scaling.ts';
import { startDirector } from '../../services/director/app.ts';
import { createKubernetesFleet, type RunnerReports } from '../../services/ports/fleet/kubernetes.ts';
import {
  createKubernetesClient,
  type KubernetesClient,
} from '../../services/ports/fleet/kubernetes-client.ts';
import type { Demand, DirectorProtocol } from '../../services/ports/fleet-protocol/port.ts';
import { haveGoTools, howToHaveGoTools, kubernetesTools } from '../../test/support/go-tools.ts';
import { startKubernetesApi } from '../../test/support/kubernetes-api.ts';

/** What a director of a fleet of one size took. */
export interface FleetStage {
  readonly pools: number;
  readonly pods: number;
  /** From the first wake-up until the API server had all pods that this stage added. */
  readonly growSeconds: number;
  /** Calls of the API server for each pod that was added. */
  readonly callsPerPod: number;
  /** For each of some pools that wanted one instance more: calls of the API server, all in all. */
  readonly callsPerChange: number;
  /** From the wake-up to the call that makes the pod, ms. */
  readonly reactionMs: { readonly p50: number; readonly p95: number };
  /** CPU that the director and its fleet took for one such change, ms. */
  readonly cpuMsPerChange: number;
  /** Calls of the API server in a time in which nothing changes. */
  readonly callsWhileQuiet: number;
  /** Heap after a collection, MiB. */
  readonly heapMib: number;
}

export interface FleetSummary {
  readonly stages: readonly FleetStage[];
  readonly quietSeconds: number;
}

const sizes = [500, 2000];
/** Instances of pools in turn, so that 2,000 pools have 5,000. */
const instancesOf = (index: number) => (index % 2 === 0 ? 2 : 3);
const changes = 40;
const quietSeconds = 5;
const hardware = 'cpu';

/**
 * Runs a director and its fleet of pods against a real API server, without machines: pods wait for one for ever.
 * @throws Error where the API server has not been built
 */
export async function measureFleet(say: (line: string) => void): Promise<FleetSummary> {
  if (!haveGoTools(kubernetesTools)) throw new Error(howToHaveGoTools(kubernetesTools));
  const server = await startKubernetesApi();
  try {
    await server.apply([
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: modelsNamespace } },
      {
        apiVersion: 'v1',
        kind: 'ServiceAccount',
        metadata: { name: runnerAccount, namespace: modelsNamespace },
      },
      {
        apiVersion: 'scheduling.k8s.io/v1',
        kind: 'PriorityClass',
        metadata: { name: priorityClassOf(hardware) },
        value: 1000,
      },
    ]);
    return await measureStages(createKubernetesClient(server), say);
  } finally {
    await server.stop();
  }
}

async function measureStages(client: KubernetesClient, say: (line: string) => void): Promise<FleetSummary> {
  const counted = countCalls(client);
  const control = new Control();
  const fleet = createKubernetesFleet({
    client: counted.client,
    reports: silent,
    capacity: 20_000,
    pods: {
      url: 'https://mimeo.example',
      runnerImage: 'runner@sha256:0',
      shares: { [hardware]: { cpuMillis: 1000, memoryMib: 1024, ephemeralMib: 1024, gpus: 0 } },
      setupTimeoutSeconds: 600,
      drainGraceSeconds: 25,
      maxFileMib: 1024,
    },
  });
  const policy = { ...defaultPolicy, max: 10 };
  const director = startDirector({ protocol: control, fleet, policy: () => policy });
  const stages: FleetStage[] = [];
  try {
    for (const pools of sizes) {
      stages.push(await measureStage(pools, control, counted));
      say(`${pools} pools, ${stages.at(-1)?.pods} pods`);
    }
  } finally {
    await director.close();
    await fleet.close({ graceMs: 0 });
  }
  return { stages, quietSeconds };
}

async function measureStage(pools: number, control: Control, counted: CountedCalls): Promise<FleetStage> {
  const callsBefore = counted.calls();
  const begun = performance.now();
  const podsBefore = counted.made.size;
  let pods = podsBefore;
  for (let index = control.size; index < pools; index++) {
    control.want(index, instancesOf(index));
    pods += instancesOf(index);
  }
  control.wake();
  await until(() => counted.made.size >= pods && counted.open() === 0);
  const growSeconds = (performance.now() - begun) / 1000;
  const callsPerPod = (counted.calls() - callsBefore) / (pods - podsBefore);
  await pause(1000);

  const [changeCalls, cpuBefore] = [counted.calls(), process.cpuUsage()];
  const reactions: number[] = [];
  for (let turn = 0; turn < changes; turn++) {
    const index = (turn * 7919) % pools;
    const before = counted.made.size;
    const wokenAt = performance.now();
    control.want(index, control.wanted(index) + 1);
    control.wake();
    await until(() => counted.made.size > before && counted.open() === 0);
    reactions.push(counted.lastMadeAt() - wokenAt);
  }
  const cpu = process.cpuUsage(cpuBefore);
  const callsPerChange = (counted.calls() - changeCalls) / changes;

  const quietCalls = counted.calls();
  await pause(quietSeconds * 1000);
  return {
    pools,
    pods: counted.made.size,
    growSeconds,
    callsPerPod,
    callsPerChange,
    reactionMs: { p50: percentile(reactions, 0.5) ?? 0, p95: percentile(reactions, 0.95) ?? 0 },
    cpuMsPerChange: (cpu.user + cpu.system) / 1000 / changes,
    callsWhileQuiet: counted.calls() - quietCalls,
    heapMib: heapMib(),
  };
}

/** A control plane whose pools have as many waiting jobs as they are told to. */
class Control implements DirectorProtocol {
  readonly #lines: { readonly pool: Pool; queued: number }[] = [];
  #wake = Promise.withResolvers<void>();
  #hasChanged = true;

  get size(): number {
    return this.#lines.length;
  }

  wanted(index: number): number {
    return this.#lines[index]?.queued ?? 0;
  }

  want(index: number, queued: number): void {
    const line = this.#lines[index];
    if (line) line.queued = queued;
    else this.#lines.push({ pool: poolOf(index), queued });
  }

  wake(): void {
    this.#hasChanged = true;
    this.#wake.resolve();
  }

  async demand({ waitSeconds }: { readonly waitSeconds: number }, signal?: AbortSignal): Promise<Demand> {
    const given = new AbortController();
    const over = pause(waitSeconds * 1000, undefined, { signal: given.signal }).catch(() => {});
    const gone = new Promise<void>((resolve) => signal?.addEventListener('abort', () => resolve()));
    if (waitSeconds > 0 && !this.#hasChanged) await Promise.race([this.#wake.promise, over, gone]);
    given.abort();
    this.#hasChanged = false;
    this.#wake = Promise.withResolvers();
    const oldestQueuedAt = Date.now();
    return {
      pools: this.#lines.map(({ pool, queued }) => ({
        pool,
        queued,
        running: 0,
        oldestQueuedAt,
        runSeconds: [],
      })),
    };
  }

  async reportPool(): Promise<void> {}
  async refuse(): Promise<void> {}
  async drain(): Promise<void> {}
}

function poolOf(index: number): Pool {
  const [model, version] = [`bench/model-${index}`, String(index).padStart(64, '0')];
  return {
    id: sharedPoolId({ model, version, hardware }),
    account: 'bench',
    model,
    version,
    hardware,
    concurrency: 1,
    streams: false,
    image: `registry.example/bench/model-${index}@sha256:${version}`,
  };
}

interface CountedCalls {
  readonly client: KubernetesClient;
  /** Names of pods that were asked for. */
  readonly made: ReadonlySet<string>;
  readonly calls: () => number;
  /** Calls that are under way. */
  readonly open: () => number;
  /** By `performance.now()`. */
  readonly lastMadeAt: () => number;
}

function countCalls(client: KubernetesClient): CountedCalls {
  const made = new Set<string>();
  let [calls, open, lastMadeAt] = [0, 0, 0];
  const request: KubernetesClient['request'] = async (method, path, call) => {
    calls += 1;
    open += 1;
    const name = method === 'PATCH' ? /\/pods\/([^?]+)/.exec(path)?.[1] : undefined;
    if (name !== undefined) {
      made.add(name);
      lastMadeAt = performance.now();
    }
    return await client.request(method, path, call).finally(() => {
      open -= 1;
    });
  };
  return {
    client: { ...client, request },
    made,
    calls: () => calls,
    open: () => open,
    lastMadeAt: () => lastMadeAt,
  };
}

const silent: RunnerReports = {
  of: () => undefined,
  onChange: () => () => {},
  drain: async () => {},
};

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await pause(1);
}

function heapMib(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  return process.memoryUsage().heapUsed / 1024 / 1024;
}
