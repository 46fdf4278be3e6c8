import { afterAll, beforeAll, onTestFinished, vi } from 'vitest';
import { directorAccount, modelsNamespace, systemNamespace } from '../../services/core/kubernetes-names.ts';
import type { Pool } from '../../services/core/pool.ts';
import { RunnerReports } from '../../services/director/runner-reports.ts';
import { createKubernetesFleet } from '../../services/ports/fleet/kubernetes.ts';
import { createKubernetesClient } from '../../services/ports/fleet/kubernetes-client.ts';
import { fleetContract, type TestFleet } from '../contract/fleet.ts';
import { makeGate } from '../runner/instance.ts';
import { scriptedModel } from '../runner/scripted-model.ts';
import { imageOf, type NodeAgent } from '../support/node-agent.ts';
import { runnerReference, World, type WorldModel } from './world.ts';

const brokenSetup =
  'print("looking for weights", flush=True); time.sleep(0.3); raise RuntimeError("there are no weights")';
const within = { timeout: 60_000, interval: 50 };

let world: World;
let node: NodeAgent;
const models = new Map<string, Promise<WorldModel>>();

beforeAll(async () => {
  world = await World.start();
  node = await world.startNode();
});
afterAll(() => world?.stop());

async function modelOf(name: string, setup?: string): Promise<Pool> {
  const known = models.get(name);
  const made =
    known ??
    scriptedModel(setup === undefined ? {} : { setup }).then((spec) => world.addModel(name, imageOf(spec)));
  models.set(name, made);
  return (await made).pool;
}

/** What a test before left is gone: a fleet that is closed leaves its pods as they are. */
async function clear(): Promise<void> {
  const path = `/api/v1/namespaces/${modelsNamespace}/pods`;
  await world.cluster.request('DELETE', `${path}?gracePeriodSeconds=0`);
  await vi.waitUntil(async () => (await world.allPods()).length === 0, within);
  for (const { id } of await world.unfinished()) await world.json('POST', `/predictions/${id}/cancel`);
}

async function open({ capacity }: { readonly capacity: number }): Promise<TestFleet> {
  await clear();
  const { url, authority } = world.cluster;
  const token = await world.cluster.serviceAccountToken(systemNamespace, directorAccount, url);
  const protocol = world.api.api.dispatch.protocolFor({ role: 'director' });
  const reports = new RunnerReports(protocol);
  const share = { cpuMillis: 1000, memoryMib: 1024, ephemeralMib: 1024, gpus: 0 };
  const fleet = createKubernetesFleet({
    client: createKubernetesClient({ url, authority, token }),
    reports,
    capacity,
    pods: {
      url: world.url,
      runnerImage: runnerReference,
      shares: { cpu: share },
      setupTimeoutSeconds: 60,
      drainGraceSeconds: 5,
      maxFileMib: 1,
    },
  });
  // As a director hears of them.
  const closing = new AbortController();
  const listening = (async () => {
    while (!closing.signal.aborted) {
      const demand = await protocol.demand({ waitSeconds: 1, reportsAfter: reports.after }, closing.signal);
      reports.take(demand.reports ?? []);
    }
  })();
  onTestFinished(async () => {
    closing.abort();
    await listening;
  });
  const gate = await makeGate();
  let jobs = 0;
  return {
    fleet,
    submit(pool) {
      const name = String(jobs++);
      const created = world.predict(pool, { script: `wait:${name}`, gate: gate.path });
      return {
        finish: () => gate.open(name),
        result: created.then(async ({ id }) => (await world.untilEnded(id)).status),
      };
    },
    isRunning: (id) => node.pods().some(({ pod, isRunning }) => pod.metadata.name === id && isRunning),
  };
}

fleetContract({
  open,
  outlivesClose: true,
  // A runner sees of its neighbour what Cog tells over HTTP, and no container's output.
  keepsSetupOutput: false,
  pool: (name) => modelOf(name),
  brokenPool: () => modelOf('broken', brokenSetup),
});
