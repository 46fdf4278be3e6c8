import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { Dispatch } from '../../services/api/dispatch.ts';
import { ScaledPools } from '../../services/api/scaled-pools.ts';
import type { Pool } from '../../services/core/pool.ts';
import { InstanceRecords } from '../../services/data/instance-records.ts';
import { InstanceReports } from '../../services/data/instance-reports.ts';
import { JobFlow } from '../../services/data/job-flow.ts';
import { isEndedJob, Jobs } from '../../services/data/jobs.ts';
import { ModelScaling } from '../../services/data/model-scaling.ts';
import { Models } from '../../services/data/models.ts';
import { Pools } from '../../services/data/pools.ts';
import { createMetering } from '../../services/metering/app.ts';
import { createMemoryChannel } from '../../services/ports/channel/memory.ts';
import type { Channel } from '../../services/ports/channel/port.ts';
import type { FleetProtocol } from '../../services/ports/fleet-protocol/port.ts';
import { openFilesystemObjects } from '../../services/ports/objects/filesystem.ts';
import type { Queue } from '../../services/ports/queue/port.ts';
import { openSqliteQueue } from '../../services/ports/queue/sqlite.ts';
import type { Table } from '../../services/ports/table/port.ts';
import { openSqliteTable } from '../../services/ports/table/sqlite.ts';
import { Sweeper } from '../../services/sweeper/app.ts';
import { Chance } from './chance.ts';

/** What goes wrong, and when. */
export interface Faults {
  readonly chance: Chance;
  /** Whether anything goes wrong now. */
  on: boolean;
}

export const pool: Pool = {
  id: 'local/model@cpu',
  account: 'local',
  model: 'local/model',
  version: 'a'.repeat(64),
  hardware: 'cpu',
  concurrency: 1,
  streams: true,
};

/** The control plane over the local adapters, each behind its faults. */
export interface Plant {
  /** Without faults. */
  readonly table: Table;
  readonly flow: JobFlow;
  readonly pools: Pools;
  readonly sweeper: Sweeper;
  readonly runner: FleetProtocol;
  readonly director: FleetProtocol;
  close(): Promise<void>;
}

export async function newFolder(): Promise<{ readonly path: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'mimeo-simulation-'));
  return { path, remove: () => rm(path, { recursive: true }) };
}

/** Opens what a folder holds, as a start of the process does. */
export async function openPlant(folder: string, clock: { now: number }, faults: Faults): Promise<Plant> {
  const now = () => clock.now;
  const table = openSqliteTable({
    path: join(folder, 'mimeo.db'),
    now,
    recordsChange: isEndedJob,
    feedImages: 'new',
    onConsumerError: () => undefined,
  });
  const queue = openSqliteQueue({ path: join(folder, 'queue.db') });
  const channel = createMemoryChannel({ now });
  const objects = openFilesystemObjects({
    root: join(folder, 'objects'),
    baseUrl: () => 'http://127.0.0.1:1',
    signingKey: Buffer.alloc(32).toString('base64'),
  });
  const unreliable = faultyTable(table, faults, 0.02);
  const parts = { queue: faultyQueue(queue, faults), channel: faultyChannel(channel, faults) };
  const flow = new JobFlow({ jobs: new Jobs(unreliable, objects), ...parts });
  const pools = new Pools(table);
  const scaled = new ScaledPools({ models: new Models(table), scaling: new ModelScaling(table) });
  const reports = new InstanceReports(table);
  const records = new InstanceRecords(table);
  const dispatch = new Dispatch({ flow, pools, reports, records, scaled, ...parts, objects, now });
  await dispatch.start();
  // By a chance of its own: it works when timers let it, which no seed repeats.
  const meteringFaults: Faults = {
    chance: new Chance(faults.chance.below(2 ** 31)),
    get on() {
      return faults.on;
    },
  };
  const stopMetering = table.consume(createMetering(faultyTable(table, meteringFaults, 0.2)));
  return {
    table,
    flow,
    pools,
    sweeper: new Sweeper({ flow, pools, now, logger: pino({ level: 'silent' }) }),
    runner: dispatch.protocolFor({ role: 'runner', pool: pool.id }),
    director: dispatch.protocolFor({ role: 'director' }),
    async close() {
      await stopMetering();
      await channel.close();
      await queue.close();
      await table.close();
    },
  };
}

/** Calls take turns in another order each time; a write fails before it is made, or its answer is lost. */
function faultyTable(table: Table, faults: Faults, failing: number): Table {
  const { chance } = faults;
  const late = async <T>(call: () => Promise<T>): Promise<T> => {
    for (let turns = faults.on ? chance.below(6) : 0; turns > 0; turns -= 1) await undefined;
    return await call();
  };
  return {
    get: async (key) => late(async () => table.get(key)),
    query: async (partition, options) => late(async () => table.query(partition, options)),
    count: async (...counted) => late(async () => table.count(...counted)),
    write: async (ops) =>
      late(async () => {
        if (faults.on && chance.happens(failing)) throw new Error('the write was not made');
        await table.write(ops);
        if (faults.on && chance.happens(failing)) throw new Error('the answer of the write was lost');
      }),
    close: async () => table.close(),
  };
}

/** Messages are lost, and come twice. */
function faultyQueue(queue: Queue, faults: Faults): Queue {
  return {
    async send(to, message, options) {
      const times = faults.on ? (faults.chance.pick([0, 1, 1, 1, 2]) ?? 1) : 1;
      for (let sent = 0; sent < times; sent += 1) await queue.send(to, message, options);
    },
    receive: async (from, options) => queue.receive(from, options),
    drop: async (pool) => queue.drop(pool),
    close: async () => queue.close(),
  };
}

/** Nobody hears what is published, now and then. */
function faultyChannel(channel: Channel, faults: Faults): Channel {
  const lost = () => faults.on && faults.chance.happens(0.2);
  return {
    publish: async (topic, event) => (lost() ? undefined : channel.publish(topic, event)),
    ring: async (topic) => (lost() ? undefined : channel.ring(topic)),
    subscribe: async (topic, listener, after) => channel.subscribe(topic, listener, after),
    close: async () => channel.close(),
  };
}
