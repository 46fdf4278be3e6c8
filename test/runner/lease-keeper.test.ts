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

function keptJob(id: string): KeptJob {
  return { job: { id, attempt: 1 }, delivery: { renew: () => undefined, isExpired: false } };
}
