import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { LaunchSpec } from '../../services/core/launch.ts';
import { type ModelProcess, startModelProcess } from '../../services/ports/fleet/model-process.ts';
import { type Runner, type RunnerOptions, startRunner } from '../../services/runner/app.ts';
import { MemoryProtocol } from './memory-protocol.ts';

export interface TestInstance {
  readonly process: ModelProcess;
  readonly runner: Runner;
  readonly protocol: MemoryProtocol;
}

export interface InstanceOptions extends Partial<RunnerOptions> {
  readonly streams?: boolean;
  readonly concurrency?: number;
}

/** A real Cog server and its runner, which go with the test. */
export async function startInstance(spec: LaunchSpec, options: InstanceOptions = {}): Promise<TestInstance> {
  const { streams = false, concurrency = 1, ...rest } = options;
  const process = await startModelProcess(spec, concurrency);
  const protocol = new MemoryProtocol();
  const runner = startRunner({
    protocol,
    instanceId: 'instance-1',
    pool: { id: 'pool', concurrency, streams },
    cogUrl: `http://127.0.0.1:${process.port}`,
    serverLog: process.log,
    outOfMemory: process.outOfMemory,
    ...rest,
  });
  // As a fleet does it.
  void process.exited.then((exit) => runner.cogExited(exit));
  runner.onChange(() => {
    if (runner.broken !== null) void process.stop(0);
  });
  onTestFinished(async () => {
    await process.stop(0);
    await runner.drain({ graceMs: 5000 });
  });
  return { process, runner, protocol };
}

/** Files for which a scripted model waits; `open` makes one. */
export async function makeGate(): Promise<{ readonly path: string; open(name: string): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'mimeo-gate-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return { path: `${folder}/`, open: (name) => writeFile(join(folder, name), '') };
}
