import { setTimeout as pause } from 'node:timers/promises';
import { vi } from 'vitest';
import type { AttachedMachine } from '../support/attached-machine.ts';
import type { SmallDisk } from '../support/small-disk.ts';
import { modelProcesses } from './model-processes.ts';
import type { Fault } from './plan.ts';
import type { Platform } from './platform.ts';
import type { CuttableReceiver } from './receiver.ts';

/** What faults are done to. */
export interface World {
  readonly home: string;
  readonly platform: Platform;
  readonly machines: readonly AttachedMachine[];
  readonly receiver: CuttableReceiver;
  /** undefined where none can be made: the disk is not cut then. */
  readonly disk: SmallDisk | undefined;
}

/** How often each kind of fault was done. */
export interface Done {
  platform: number;
  server: number;
  worker: number;
  runner: number;
  disk: number;
  receiver: number;
}

const soon = { timeout: 60_000, interval: 20 };

/** Does what the plan says, one fault after the other; at its end all that was cut is whole again. */
export async function bringAbout(plan: readonly Fault[], world: World): Promise<Done> {
  const { platform, machines, receiver, disk } = world;
  const done: Done = { platform: 0, server: 0, worker: 0, runner: 0, disk: 0, receiver: 0 };
  /** Faults until each is given back; 0 where it is whole. */
  const left = { disk: 0, receiver: 0 };
  const freeDisk = () => {
    left.disk = 0;
    disk?.free();
  };
  const elapse = async () => {
    if (left.disk > 0 && --left.disk === 0) freeDisk();
    if (left.receiver > 0 && --left.receiver === 0) await receiver.restore();
  };
  for (const fault of plan) {
    await pause(fault.afterMs);
    switch (fault.kind) {
      case 'platform':
        // A start on a full disk ends with an error that says so: whoever is in charge makes room first.
        await platform.kill(fault.againAfterMs, freeDisk);
        done.platform += fault.againAfterMs === null ? 1 : 2;
        break;
      case 'model':
        await killModel(world.home, fault.part, fault.victim);
        done[fault.part] += 1;
        break;
      case 'runner':
        await killRunner(machines, fault.victim);
        done.runner += 1;
        break;
      case 'disk':
        if (!disk) continue;
        disk.fill();
        left.disk = fault.forFaults;
        done.disk += 1;
        continue;
      case 'receiver':
        await receiver.restore();
        await receiver.cut(fault.how);
        left.receiver = fault.forFaults;
        done.receiver += 1;
        continue;
    }
    await elapse();
  }
  freeDisk();
  await receiver.restore();
  return done;
}

async function killModel(home: string, part: 'server' | 'worker', victim: number): Promise<void> {
  await vi.waitFor(() => {
    const pid = chosen(modelProcesses(home, part), victim);
    // It may have ended by itself since.
    process.kill(pid, 'SIGKILL');
  }, soon);
}

async function killRunner(machines: readonly AttachedMachine[], victim: number): Promise<void> {
  await vi.waitFor(() => {
    const running = machines.filter(({ isRunning }) => isRunning);
    chosen(running, victim).kill();
  }, soon);
}

function chosen<T>(all: readonly T[], victim: number): T {
  const one = all[Math.floor(victim * all.length)];
  if (one === undefined) throw new Error('Nothing is there yet that could be killed');
  return one;
}
