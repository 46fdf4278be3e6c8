import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import {
  createKubernetesClient,
  type KubernetesClient,
} from '../../services/ports/fleet/kubernetes-client.ts';
import { type Leadership, type LeadershipOptions, lead } from '../../services/ports/fleet/leader.ts';
import { type KubernetesApi, startKubernetesApi } from '../support/kubernetes-api.ts';

let api: KubernetesApi;

beforeAll(async () => {
  api = await startKubernetesApi();
  await api.apply([{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'mimeo' } }]);
});
afterAll(async () => api?.stop());

const times = { lease: 3000, deadline: 2000, renewal: 200, look: 100 };
const within = { timeout: 20_000, interval: 20 };
let leases = 0;

interface Candidate {
  readonly identity: string;
  /** Whether it leads at this moment. */
  holds(): boolean;
  readonly lost: string[];
  release(): Promise<void>;
  /** As if its process had been killed: it does nothing more, and gives nothing up. */
  kill(): void;
}

/** Stands for the right to lead; `name` is the Lease's. */
function candidate(name: string, identity: string, options: Partial<LeadershipOptions> = {}): Candidate {
  const end = new AbortController();
  const lost: string[] = [];
  let leadership: Leadership | undefined;
  let isDead = false;
  const plain = options.client ?? createKubernetesClient(api);
  const client: KubernetesClient = {
    watch: plain.watch,
    request: async (...call) => {
      if (isDead) throw new Error('This process is dead.');
      return await plain.request(...call);
    },
  };
  void lead(
    { namespace: 'mimeo', name, identity, times, onLost: (why) => lost.push(why), ...options, client },
    end.signal,
  ).then((won) => {
    leadership = won;
  });
  const release = async () => {
    end.abort();
    await leadership?.release();
  };
  onTestFinished(release);
  return {
    identity,
    holds: () => leadership?.holds() ?? false,
    lost,
    release,
    kill() {
      isDead = true;
      end.abort();
    },
  };
}

function someLease(): string {
  return `director-${leases++}`;
}

async function untilHolds(one: Candidate): Promise<void> {
  await vi.waitFor(() => expect(one.holds()).toBe(true), within);
}

async function holderOf(name: string): Promise<string> {
  const path = `/apis/coordination.k8s.io/v1/namespaces/mimeo/leases/${name}`;
  const lease = (await api.request('GET', path)) as { readonly spec: { readonly holderIdentity: string } };
  return lease.spec.holderIdentity;
}

describe('of two directors', () => {
  it('one leads, and the other follows at once when it leaves', async () => {
    const name = someLease();
    const [one, two] = [candidate(name, 'one'), candidate(name, 'two')];
    await vi.waitFor(() => expect(one.holds() || two.holds()).toBe(true), within);
    const [leader, other] = one.holds() ? [one, two] : [two, one];
    expect(await holderOf(name)).toBe(leader.identity);
    expect(other.holds()).toBe(false);
    const leftAt = performance.now();

    await leader.release();

    expect(leader.holds()).toBe(false);
    await untilHolds(other);
    expect(performance.now() - leftAt).toBeLessThan(times.lease);
    expect(leader.lost).toEqual([]);
  });

  it('the other takes over from one that was killed, once its Lease has run out and not before', async () => {
    const name = someLease();
    const one = candidate(name, 'one');
    await untilHolds(one);
    const two = candidate(name, 'two');

    const killedAt = performance.now();
    one.kill();

    await untilHolds(two);
    // Counted from its last renewal.
    expect(performance.now() - killedAt).toBeGreaterThan(times.lease - times.renewal - 100);
    expect(await holderOf(name)).toBe('two');
    // It had stopped by itself before that.
    expect(one.holds()).toBe(false);
    expect(one.lost).toHaveLength(1);
  });

  it('never do both lead, whatever the clocks of their machines say', async () => {
    const name = someLease();
    const startedAt = performance.now();
    // One clock runs from another beginning: only how long something takes counts.
    const one = candidate(name, 'one', { clock: () => performance.now() + 1e9 });
    await untilHolds(one);
    const two = candidate(name, 'two');

    await vi.waitFor(() => {
      expect(one.holds() && two.holds()).toBe(false);
      expect(performance.now() - startedAt).toBeGreaterThan(2 * times.lease);
    }, within);

    expect([one.holds(), two.holds()]).toEqual([true, false]);
  });
});

describe('a leader', () => {
  it('that was stopped for longer than its deadline holds nothing at the moment when it goes on', async () => {
    const name = someLease();
    let ahead = 0;
    const one = candidate(name, 'one', { clock: () => performance.now() + ahead });
    await untilHolds(one);

    // As after SIGSTOP: the clock has gone on, and nothing else has.
    ahead = times.deadline + 1;

    expect(one.holds()).toBe(false);
    await vi.waitFor(
      () => expect(one.lost).toEqual([expect.stringContaining('could not be renewed')]),
      within,
    );
    expect(one.holds()).toBe(false);
  });

  it('that finds another in its place says so, and leads no more', async () => {
    const name = someLease();
    const one = candidate(name, 'one');
    await untilHolds(one);

    await createKubernetesClient(api).request(
      'PATCH',
      `/apis/coordination.k8s.io/v1/namespaces/mimeo/leases/${name}`,
      { body: { spec: { holderIdentity: 'two' } }, contentType: 'application/merge-patch+json' },
    );

    await vi.waitFor(() => expect(one.lost).toEqual(['two has taken over']), within);
    expect(one.holds()).toBe(false);
    expect(await holderOf(name)).toBe('two');
  });

  it('goes on where one renewal fails', async () => {
    const name = someLease();
    const plain = createKubernetesClient(api);
    let calls = 0;
    const problems: unknown[] = [];
    const client: KubernetesClient = {
      watch: plain.watch,
      request: async (method, ...rest) => {
        if (method === 'PUT' && ++calls % 2 === 0) throw new Error('connection reset');
        return await plain.request(method, ...rest);
      },
    };
    const one = candidate(name, 'one', { client, onProblem: (error) => problems.push(error) });
    await untilHolds(one);

    await vi.waitFor(() => expect(problems.length).toBeGreaterThan(4), within);

    expect(one.holds()).toBe(true);
    expect(one.lost).toEqual([]);
  });
});
