import { describe, expect, onTestFinished, test, vi } from 'vitest';
import type { Instance, InstancePhase, Pool } from '../../services/core/pool.ts';
import type { Fleet } from '../../services/ports/fleet/port.ts';

/** A fleet under test and the control plane whose jobs its instances run. */
export interface TestFleet {
  readonly fleet: Fleet;
  /** Puts a job into a pool: it runs until `finish` and then succeeds. */
  submit(pool: Pool): TestJob;
  /** Whether anything of an instance is left running. */
  isRunning(instanceId: string): boolean;
}

interface TestJob {
  finish(): Promise<void>;
  /** `succeeded`, `failed` or `given back`, once it is one of them. */
  readonly result: Promise<string>;
}

export interface FleetContract {
  open(options: { readonly capacity: number }): Promise<TestFleet>;
  /** A pool whose model serves; another name, another pool. */
  pool(name: string): Promise<Pool>;
  /** Whether instances are left as they are by `close`, for whoever decides next. @default false */
  readonly outlivesClose?: boolean;
  /** Whether what a setup printed before it failed is kept, and not only why it failed. @default true */
  readonly keepsSetupOutput?: boolean;
  /** A pool whose model prints `looking for weights` in its setup and raises `there are no weights`. */
  brokenPool(): Promise<Pool>;
}

const within = { timeout: 60_000, interval: 10 };

/** What every adapter of the port Fleet keeps to. */
export function fleetContract(contract: FleetContract): void {
  async function open(capacity = 4): Promise<TestFleet> {
    const opened = await contract.open({ capacity });
    onTestFinished(() => opened.fleet.close({ graceMs: 0 }));
    return opened;
  }

  async function of(fleet: Fleet, pool: Pool): Promise<readonly Instance[]> {
    return (await fleet.observe()).filter((instance) => instance.pool === pool.id);
  }

  async function phases(fleet: Fleet, pool: Pool): Promise<InstancePhase[]> {
    return (await of(fleet, pool)).map(({ phase }) => phase).sort();
  }

  async function untilPhases(fleet: Fleet, pool: Pool, expected: InstancePhase[]): Promise<void> {
    await vi.waitFor(async () => expect(await phases(fleet, pool)).toEqual(expected), within);
  }

  describe('Fleet', () => {
    test('an instance is seen from the moment it is asked for until it is ready', async () => {
      const { fleet } = await open();
      const pool = await contract.pool('one');
      const startedAt = Date.now();

      await fleet.apply(pool, 1);

      const [starting] = await of(fleet, pool);
      expect(starting).toMatchObject({ readyAt: null, running: 0, idleSince: null, failure: null });
      expect(starting?.phase).not.toBe('ready');
      await untilPhases(fleet, pool, ['ready']);
      const [ready] = await of(fleet, pool);
      expect(ready?.id).toBe(starting?.id);
      expect(ready?.readyAt).toBeGreaterThanOrEqual(startedAt);
      // A fleet whose runners are elsewhere hears of it once it has lasted.
      await vi.waitFor(async () => expect((await of(fleet, pool))[0]?.idleSince).not.toBeNull(), within);
    });

    test('asking again for what is there starts nothing', async () => {
      const { fleet } = await open();
      const pool = await contract.pool('one');

      await fleet.apply(pool, 1);
      await fleet.apply(pool, 1);

      expect(await of(fleet, pool)).toHaveLength(1);
    });

    test('there are never more than its capacity, over all pools', async () => {
      const { fleet } = await open(2);
      const [one, two] = [await contract.pool('one'), await contract.pool('two')];

      await fleet.apply(one, 1);
      await fleet.apply(two, 5);

      expect(await of(fleet, one)).toHaveLength(1);
      expect(await of(fleet, two)).toHaveLength(1);
    });

    test('pools do not touch one another', async () => {
      const { fleet } = await open();
      const [one, two] = [await contract.pool('one'), await contract.pool('two')];
      await fleet.apply(one, 1);
      await fleet.apply(two, 1);
      await untilPhases(fleet, one, ['ready']);
      await untilPhases(fleet, two, ['ready']);

      await fleet.apply(one, 0);

      await untilPhases(fleet, one, []);
      expect(await phases(fleet, two)).toEqual(['ready']);
    });

    test('an instance that boots is not stopped', async () => {
      const { fleet } = await open();
      const pool = await contract.pool('one');
      await fleet.apply(pool, 1);

      await fleet.apply(pool, 0);

      await untilPhases(fleet, pool, ['ready']);
    });

    test('a busy instance that is too many ends its job, takes no other and leaves nothing running', async () => {
      const { fleet, submit, isRunning } = await open();
      const pool = await contract.pool('one');
      const job = submit(pool);
      await fleet.apply(pool, 1);
      await vi.waitFor(async () => expect((await of(fleet, pool))[0]?.running).toBe(1), within);
      const [busy] = await of(fleet, pool);
      expect(busy?.idleSince).toBeNull();

      await fleet.apply(pool, 0);

      expect(await phases(fleet, pool)).toEqual(['draining']);
      const next = submit(pool);
      await job.finish();
      expect(await job.result).toBe('succeeded');
      await untilPhases(fleet, pool, []);
      // What a server had started dies with its group, which the system takes a moment for.
      await vi.waitFor(() => expect(isRunning(busy?.id ?? '')).toBe(false), within);
      await fleet.apply(pool, 1);
      await next.finish();
      expect(await next.result).toBe('succeeded');
    });

    test('of two idle instances the one that was idle for longer goes', async () => {
      const { fleet, submit } = await open();
      const pool = await contract.pool('one');
      await fleet.apply(pool, 2);
      await untilPhases(fleet, pool, ['ready', 'ready']);
      const job = submit(pool);
      await vi.waitFor(async () => {
        expect((await of(fleet, pool)).map(({ running }) => running).sort()).toEqual([0, 1]);
      }, within);
      const worker = (await of(fleet, pool)).find(({ running }) => running === 1);
      await job.finish();
      await vi.waitFor(async () => {
        expect((await of(fleet, pool)).every(({ idleSince }) => idleSince !== null)).toBe(true);
      }, within);

      await fleet.apply(pool, 1);

      await vi.waitFor(async () => expect(await of(fleet, pool)).toHaveLength(1), within);
      expect((await of(fleet, pool))[0]?.id).toBe(worker?.id);
    });

    test('a setup that fails is seen with its reason and its logs until the next apply', async () => {
      const { fleet, isRunning } = await open();
      const pool = await contract.brokenPool();

      await fleet.apply(pool, 1);

      await untilPhases(fleet, pool, ['failed']);
      const [failed] = await of(fleet, pool);
      expect(failed?.failure?.code).toBe('setup_failed');
      expect(failed?.failure?.message).toContain('there are no weights');
      const printed = contract.keepsSetupOutput === false ? 'there are no weights' : 'looking for weights';
      expect(failed?.setupLogs).toContain(printed);
      expect(failed).toMatchObject({ running: 0, idleSince: null });
      await fleet.apply(pool, 0);
      expect(await of(fleet, pool)).toEqual([]);
      await vi.waitFor(() => expect(isRunning(failed?.id ?? '')).toBe(false), within);
    });

    test('a failure that nobody has seen yet outlives any apply', async () => {
      const { fleet } = await open();
      const pool = await contract.brokenPool();
      let applied = 0;
      // Whatever changes, it is applied again before anybody looks.
      fleet.onChange(() => {
        applied++;
        void fleet.apply(pool, 0);
      });

      await fleet.apply(pool, 1);
      await vi.waitFor(() => expect(applied).toBeGreaterThanOrEqual(2), within);

      await untilPhases(fleet, pool, ['failed']);
    });

    test('listeners hear of changes until they have had enough', async () => {
      const { fleet } = await open();
      const pool = await contract.pool('one');
      let heard = 0;
      let unheard = 0;
      fleet.onChange(() => heard++);
      const stop = fleet.onChange(() => unheard++);
      stop();

      await fleet.apply(pool, 1);
      await untilPhases(fleet, pool, ['ready']);

      expect(heard).toBeGreaterThanOrEqual(2);
      expect(unheard).toBe(0);
    });

    if (contract.outlivesClose) {
      test('close leaves what runs to whoever decides next', async () => {
        const { fleet, isRunning } = await open();
        const pool = await contract.pool('one');
        await fleet.apply(pool, 1);
        await untilPhases(fleet, pool, ['ready']);
        const ids = (await of(fleet, pool)).map(({ id }) => id);

        await fleet.close({ graceMs: 50 });

        expect(ids.filter(isRunning)).toEqual(ids);
      });
    } else {
      test('close gives jobs back after the grace and leaves nothing running', async () => {
        const { fleet, submit, isRunning } = await open();
        const pool = await contract.pool('one');
        const job = submit(pool);
        await fleet.apply(pool, 2);
        await vi.waitFor(async () => {
          expect((await of(fleet, pool)).map(({ running }) => running).sort()).toEqual([0, 1]);
        }, within);
        const ids = (await of(fleet, pool)).map(({ id }) => id);

        await fleet.close({ graceMs: 50 });

        expect(await job.result).toBe('given back');
        expect(await fleet.observe()).toEqual([]);
        expect(ids.filter(isRunning)).toEqual([]);
        await fleet.apply(pool, 1);
        expect(await fleet.observe()).toEqual([]);
      });
    }

    test('ids of instances are never the same', async () => {
      const { fleet } = await open(4);
      const pool = await contract.pool('one');

      await fleet.apply(pool, 4);

      expect(new Set((await of(fleet, pool)).map(({ id }) => id)).size).toBe(4);
    });
  });
}
