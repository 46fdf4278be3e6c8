import { expect, test, vi } from 'vitest';
import type { StopList } from '../../services/ports/fleet-protocol/port.ts';
import { type KeptJob, LeaseKeeper } from '../../services/runner/lease-keeper.ts';

test('a cancel that overtakes the answer with its job stops the job all the same', async () => {
  const polls: ((list: StopList) => void)[] = [];
  const held = new Set<KeptJob>();
  const stopped: KeptJob[] = [];
  const keeper = new LeaseKeeper({
    protocol: {
      heartbeat: async () => ({ stop: [] }),
      watch: async () => new Promise((resolve) => polls.push(resolve)),
    },
    instanceId: 'instance-1',
    held,
    onStop: (job) => stopped.push(job),
  });
  const first = keptJob('first');
  const second = keptJob('second');
  held.add(first);
  keeper.begin(first);
  await vi.waitFor(() => expect(polls).toHaveLength(1));

  polls[0]?.({ stop: [second.job] });
  await vi.waitFor(() => expect(polls).toHaveLength(2));
  held.add(second);
  keeper.begin(second);

  expect(stopped).toEqual([second]);
  keeper.close();
});

test('jobs that are over at once cost no heartbeat, one that runs on costs one', async () => {
  vi.useFakeTimers();
  const heartbeat = vi.fn(async () => ({ stop: [] }));
  const held = new Set<KeptJob>();
  const watch = async () => new Promise<StopList>(() => undefined);
  const keeper = new LeaseKeeper({
    protocol: { heartbeat, watch },
    instanceId: 'instance-1',
    held,
    onStop: () => undefined,
  });
  for (let at = 0; at < 20; at += 1) {
    const job = keptJob(`job-${at}`);
    held.add(job);
    keeper.begin(job);
    await vi.advanceTimersByTimeAsync(4);
    held.delete(job);
  }
  await vi.advanceTimersByTimeAsync(60_000);
  expect(heartbeat).not.toHaveBeenCalled();

  const job = keptJob('longer');
  held.add(job);
  keeper.begin(job);
  await vi.advanceTimersByTimeAsync(1000);
  expect(heartbeat).toHaveBeenCalledOnce();
  keeper.close();
  vi.useRealTimers();
});

function keptJob(id: string): KeptJob {
  return { job: { id, attempt: 1 }, delivery: { renew: () => undefined, isExpired: false } };
}
