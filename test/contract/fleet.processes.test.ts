import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test, vi } from 'vitest';
import type { LaunchSpec } from '../../services/core/launch.ts';
import type { Pool } from '../../services/core/pool.ts';
import { createProcessFleet } from '../../services/ports/fleet/processes.ts';
import { startRunner } from '../../services/runner/app.ts';
import { makeGate } from '../runner/instance.ts';
import { MemoryProtocol } from '../runner/memory-protocol.ts';
import { scriptedModel } from '../runner/scripted-model.ts';
import { fleetContract, type TestFleet } from './fleet.ts';

const within = { timeout: 20_000, interval: 10 };
const brokenSetup =
  'print("looking for weights", flush=True); time.sleep(0.3); raise RuntimeError("there are no weights")';

function poolOf(name: string, version: string): Pool {
  const model = `local/${name}`;
  const id = `${model}:${version}@cpu`;
  return { id, account: 'local', model, version, hardware: 'cpu', concurrency: 1, streams: false };
}

interface ProcessTestFleet extends TestFleet {
  readonly protocol: (pool: Pool) => MemoryProtocol;
  readonly versions: () => ReadonlySet<string>;
}

async function openFleet(
  capacity: number,
  launch: (pool: Pool) => Promise<LaunchSpec> = launchVersion,
  runnerOptions: { readonly cancelGraceMs?: number } = {},
): Promise<ProcessTestFleet> {
  const protocols = new Map<string, MemoryProtocol>();
  const ports = new Map<string, string>();
  const protocol = (pool: Pool) => {
    const known = protocols.get(pool.id) ?? new MemoryProtocol();
    protocols.set(pool.id, known);
    return known;
  };
  const gate = await makeGate();
  const fleet = createProcessFleet({
    capacity,
    launch,
    startRunner: ({ id, ...instance }) => {
      ports.set(id, new URL(instance.cogUrl).port);
      return startRunner({
        protocol: protocol(instance.pool),
        instanceId: id,
        ...instance,
        ...runnerOptions,
      });
    },
  });
  onTestFinished(() => fleet.close({ graceMs: 0 }));
  let jobs = 0;
  return {
    fleet,
    protocol,
    versions: () => fleet.versions(),
    submit(pool) {
      const name = String(jobs++);
      const control = protocol(pool);
      const job = control.submit({ script: `wait:${name}`, gate: gate.path });
      const givenBack = vi
        .waitUntil(() => control.givenBack.some(({ id }) => id === job.id), { ...within, timeout: 50_000 })
        .then(() => 'given back');
      givenBack.catch(() => {});
      return {
        finish: () => gate.open(name),
        result: Promise.race([job.ended.then(({ outcome }) => outcome.status), givenBack]),
      };
    },
    isRunning: (id) => processesWithPort(ports.get(id) ?? 'none').length > 0,
  };
}

async function launchVersion(pool: Pool): Promise<LaunchSpec> {
  return scriptedModel(pool.version === 'broken' ? { setup: brokenSetup } : {});
}

/** Ids of the processes that were given this port, by their environment. */
function processesWithPort(port: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(`PORT=${port}`);
      } catch {
        return false;
      }
    })
    .map(Number);
}

fleetContract({
  open: ({ capacity }) => openFleet(capacity),
  pool: async (name) => poolOf(name, 'a'),
  brokenPool: async () => poolOf('broken', 'broken'),
});

test('an instance whose model dies is gone at once, and the next apply starts another', async () => {
  const { fleet, protocol } = await openFleet(2);
  const pool = poolOf('one', 'a');
  await fleet.apply(pool, 1);
  await vi.waitFor(async () => expect((await fleet.observe())[0]?.phase).toBe('ready'), within);
  const [first] = await fleet.observe();

  const { outcome } = await protocol(pool).submit({ script: 'exit:3' }).ended;

  expect(outcome).toMatchObject({ status: 'failed', failure: { code: 'model_crashed' } });
  await vi.waitFor(async () => expect(await fleet.observe()).toEqual([]), within);
  await fleet.apply(pool, 1);
  expect((await protocol(pool).submit({ script: 'say:again' }).ended).outcome.output).toBe('again');
  expect((await fleet.observe())[0]?.id).not.toBe(first?.id);
});

test('a version counts as used from the start of an instance until its process has ended', async () => {
  const { fleet, versions } = await openFleet(2);
  expect(versions()).toEqual(new Set());

  await fleet.apply(poolOf('one', 'a'), 1);
  expect(versions()).toEqual(new Set(['a']));
  await vi.waitFor(async () => expect((await fleet.observe())[0]?.phase).toBe('ready'), within);
  await fleet.apply(poolOf('one', 'a'), 0);

  await vi.waitFor(async () => expect(await fleet.observe()).toEqual([]), within);
  await vi.waitFor(() => expect(versions()).toEqual(new Set()), within);
});

test('a model that ignores a cancel is killed with everything it started, and replaced', async () => {
  const { fleet, protocol, isRunning } = await openFleet(2, launchVersion, { cancelGraceMs: 300 });
  const pool = poolOf('one', 'a');
  await fleet.apply(pool, 1);
  const job = protocol(pool).submit({ script: 'print:begun deaf' });
  await vi.waitFor(() => expect(job.liveLogs()).toContain('begun'), within);
  const [first] = await fleet.observe();

  protocol(pool).cancel(job.id);

  expect((await job.ended).outcome).toMatchObject({ failure: { code: 'canceled' } });
  await vi.waitFor(() => expect(isRunning(first?.id ?? '')).toBe(false), within);
  await fleet.apply(pool, 1);
  expect((await protocol(pool).submit({ script: 'say:again' }).ended).outcome.output).toBe('again');
});

test('a model that ignores a cancel is killed also on an instance that ends its last job', async () => {
  const { fleet, protocol, isRunning } = await openFleet(2, launchVersion, { cancelGraceMs: 300 });
  const pool = poolOf('one', 'a');
  await fleet.apply(pool, 1);
  const job = protocol(pool).submit({ script: 'print:begun deaf' });
  await vi.waitFor(() => expect(job.liveLogs()).toContain('begun'), within);
  const [instance] = await fleet.observe();
  await fleet.apply(pool, 0);

  protocol(pool).cancel(job.id);

  expect((await job.ended).outcome).toMatchObject({ status: 'failed', failure: { code: 'canceled' } });
  await vi.waitFor(async () => expect(await fleet.observe()).toEqual([]), within);
  // A broken instance is gone for everybody else before its processes have died.
  await vi.waitFor(() => expect(isRunning(instance?.id ?? '')).toBe(false), within);
});

test('a server that ends before it answers fails with the last thing it wrote', async () => {
  const traceback =
    'import sys; print("reading", flush=True); sys.exit("ImportError: libcuda.so.1 is missing")';
  const launch = async () => ({ ...(await launchVersion(poolOf('one', 'a'))), args: ['-c', traceback] });
  const { fleet } = await openFleet(1, launch);

  await fleet.apply(poolOf('one', 'a'), 1);

  await vi.waitFor(async () => expect((await fleet.observe())[0]?.phase).toBe('failed'), within);
  const [failed] = await fleet.observe();
  expect(failed?.failure).toEqual({ code: 'setup_failed', message: 'ImportError: libcuda.so.1 is missing' });
  expect(failed?.setupLogs).toContain('reading');
});

test.each([
  ['a program that is not there', { command: '/no/such/program' }, 'setup_failed'],
  ['a folder that is not there', { cwd: '/no/such/folder' }, 'setup_failed'],
])('%s is told as a failure', async (_what, wrong, code) => {
  const { fleet } = await openFleet(1, async () => ({
    ...(await launchVersion(poolOf('one', 'a'))),
    ...wrong,
  }));

  await fleet.apply(poolOf('one', 'a'), 1);

  await vi.waitFor(async () => expect((await fleet.observe())[0]?.phase).toBe('failed'), within);
  const [failed] = await fleet.observe();
  expect(failed?.failure?.code).toBe(code);
  expect(failed?.failure?.message).not.toBe('');
});

test('a model that cannot be launched is a failure of the platform that says why', async () => {
  const { fleet } = await openFleet(1, async () => {
    throw new Error('Version a was not built on this machine; push it again');
  });

  await fleet.apply(poolOf('one', 'a'), 1);

  await vi.waitFor(async () => expect((await fleet.observe())[0]?.phase).toBe('failed'), within);
  expect((await fleet.observe())[0]?.failure).toEqual({
    code: 'platform_error',
    message: 'Version a was not built on this machine; push it again',
  });
});

test('nothing of our own environment reaches a model', async () => {
  process.env.MIMEO_TEST_SECRET = 'secret';
  onTestFinished(() => {
    delete process.env.MIMEO_TEST_SECRET;
  });
  const script = 'import os, sys; sys.exit("ValueError: " + os.environ.get("MIMEO_TEST_SECRET", "unset"))';
  const launch = async () => ({ ...(await launchVersion(poolOf('one', 'a'))), args: ['-c', script] });
  const { fleet } = await openFleet(1, launch);

  await fleet.apply(poolOf('one', 'a'), 1);

  await vi.waitFor(async () => expect((await fleet.observe())[0]?.phase).toBe('failed'), within);
  expect((await fleet.observe())[0]?.failure?.message).toBe('ValueError: unset');
});

test.runIf(existsSync('/proc/self/environ'))(
  'nothing is left of a fleet whose process is killed with kill -9',
  async () => {
    const spec = await launchVersion(poolOf('one', 'a'));
    const program = fileURLToPath(new URL('./fleet-holder.ts', import.meta.url));
    const holder = spawn(process.execPath, [program, JSON.stringify(spec)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    onTestFinished(() => {
      holder.kill('SIGKILL');
    });
    const [port] = await new Promise<string[]>((resolve) => {
      createInterface(holder.stdout).once('line', (line) => resolve([line]));
    });
    // The server and its worker; the shell that watches over them has no PORT to be told by other than theirs.
    expect(processesWithPort(port ?? 'none').length).toBeGreaterThanOrEqual(2);

    holder.kill('SIGKILL');

    await vi.waitFor(() => expect(processesWithPort(port ?? 'none')).toEqual([]), within);
  },
);
