import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { poolName } from '../../services/core/kubernetes-names.ts';
import {
  createKubernetesClient,
  type KubernetesClient,
  type Watched,
} from '../../services/ports/fleet/kubernetes-client.ts';
import { lead } from '../../services/ports/fleet/leader.ts';
import { type KubernetesApi, startKubernetesApi } from '../support/kubernetes-api.ts';
import { type PodObject, PodWorld, podsPath, somePool, strangePod, within } from './pod-world.ts';
import { stackObjects } from './stack-objects.ts';

let api: KubernetesApi;

beforeAll(async () => {
  const tiers = { cpu: { max: 20 }, 'gpu-t4': { max: 2 } };
  const objects = await stackObjects({ tiers, models: { maxInstances: 50 } });
  api = await startKubernetesApi();
  await api.apply(objects);
});
afterAll(async () => api?.stop());

const ownersPath = podsPath.replace('/pods', '/configmaps');

describe('instances are pods', () => {
  it("that the stack's own rules take, with their owner, by server-side apply", async () => {
    const world = new PodWorld(api);
    const pool = somePool('gpu-t4');
    // The server takes up new rules a moment after they are there.
    await vi.waitFor(async () => {
      const refusal = await api
        .request('POST', `${podsPath}?dryRun=All`, {
          apiVersion: 'v1',
          kind: 'Pod',
          metadata: { name: 'bad' },
          spec: { containers: [{ name: 'x', image: 'x' }] },
        })
        .catch(String);
      expect(refusal).toContain('drops ALL capabilities');
    }, within);

    await world.fleet.apply(pool, 1);

    const [pod] = await world.podsOf(pool);
    const owner = (await world.client.request('GET', `${ownersPath}/${poolName(pool.id)}`)) as PodObject;
    expect(pod?.metadata.ownerReferences).toMatchObject([{ uid: owner.metadata.uid }]);
    expect(pod?.metadata.managedFields).toContainEqual(
      expect.objectContaining({ manager: 'mimeo-director', operation: 'Apply' }),
    );
    expect(pod?.spec).toMatchObject({
      restartPolicy: 'Never',
      nodeSelector: { 'mimeo.dev/sku': 'gpu-t4' },
      terminationGracePeriodSeconds: 40,
      initContainers: [{ name: 'runner', restartPolicy: 'Always' }],
      containers: [{ name: 'model', resources: { limits: { 'nvidia.com/gpu': '1' } } }],
    });
    const [instance] = await world.instancesOf(pool);
    expect(instance).toMatchObject({ id: pod?.metadata.name, phase: 'node', failure: null });
  });

  it('asking again for what is there makes no other, however late the watch tells of them', async () => {
    const held = holdBack(createKubernetesClient(api));
    const world = new PodWorld(api, { client: held.client });
    const pool = somePool();

    await Promise.all([world.fleet.apply(pool, 2), world.fleet.apply(pool, 2)]);
    await world.fleet.apply(pool, 2);

    expect(await world.phasesOf(pool)).toEqual(['node', 'node']);
    held.release();
    await world.fleet.apply(pool, 2);
    expect(await world.podsOf(pool)).toHaveLength(2);
    expect(await world.phasesOf(pool)).toEqual(['node', 'node']);
  });

  it('there are never more than its capacity, over all pools', async () => {
    const world = new PodWorld(api, { capacity: 2 });
    const [one, two] = [somePool(), somePool()];

    await world.fleet.apply(one, 1);
    await world.fleet.apply(two, 5);

    expect([await world.podsOf(one), await world.podsOf(two)].map(({ length }) => length)).toEqual([1, 1]);
  });

  it('a new director knows those of the one before, and their pools', async () => {
    const before = new PodWorld(api);
    const pool = somePool();
    await before.serve(pool, 2);
    await before.fleet.close({ graceMs: 0 });

    const after = new PodWorld(api);

    expect((await after.instancesOf(pool)).map(({ id }) => id).sort()).toEqual(
      (await before.podsOf(pool)).map(({ metadata }) => metadata.name).sort(),
    );
    expect(after.fleet.pools()).toEqual([pool]);
    await after.fleet.apply(pool, 2);
    expect(await after.podsOf(pool)).toHaveLength(2);
  });

  it("somebody else's pod is neither counted nor touched", async () => {
    const world = new PodWorld(api);
    const pool = somePool();
    await world.fleet.apply(pool, 1);
    const [pod] = await world.podsOf(pool);
    const labels = { 'app.kubernetes.io/managed-by': 'somebody' };
    const metadata = { name: strangePod(pool), labels };
    const spec = { ...pod?.spec, nodeName: undefined };
    await world.client.request('POST', podsPath, { body: { apiVersion: 'v1', kind: 'Pod', metadata, spec } });

    await world.fleet.apply(pool, 0);

    expect(await world.instancesOf(pool)).toHaveLength(1);
    expect(await world.podsOf(pool)).toHaveLength(2);
  });

  it('a version that was made of a folder is refused with a sentence', async () => {
    const world = new PodWorld(api);
    const { image, ...pool } = somePool();

    await expect(world.fleet.apply(pool, 1)).rejects.toThrow(/made of a folder.*a cluster needs an image/);

    expect(image).toBeDefined();
    expect(await world.instancesOf(pool)).toEqual([]);
  });

  it('a quota that is used up is a sentence; what is there stays, and room is used once there is some', async () => {
    const world = new PodWorld(api);
    const pool = somePool('gpu-t4');
    const quota = podsPath.replace('/pods', '/resourcequotas/gpu-t4/status');
    const setQuota = async (used: string) =>
      world.client.request('PATCH', quota, {
        body: { status: { hard: { pods: '2' }, used: { pods: used } } },
        contentType: 'application/merge-patch+json',
      });
    // As its controller does, which is not here.
    await setQuota('1');

    await expect(world.fleet.apply(pool, 2)).rejects.toThrow(
      /no more instances on gpu-t4: a quota is used up/,
    );

    expect(await world.podsOf(pool)).toHaveLength(1);
    expect(await world.phasesOf(pool)).toEqual(['node']);
    await expect(world.fleet.apply(pool, 2)).rejects.toThrow(/a quota is used up/);
    await setQuota('0');
    await vi.waitFor(async () => {
      await world.fleet.apply(pool, 2);
      expect(await world.podsOf(pool)).toHaveLength(2);
    }, within);
  });
});

describe('an instance that is too many', () => {
  it('that was idle for longest is told to drain, and its pod is deleted once it has', async () => {
    const world = new PodWorld(api);
    const pool = somePool();
    const [one = '', two = ''] = await world.serve(pool, 2);
    world.reports.ready(two, 100);

    await world.fleet.apply(pool, 1);

    await world.untilPhases(pool, ['draining', 'ready']);
    await vi.waitFor(
      () => expect(world.reports.orders.map(({ instance }) => instance)).toEqual([two]),
      within,
    );
    await vi.waitFor(async () => {
      const pod = (await world.podsOf(pool)).find(({ metadata }) => metadata.name === two);
      expect(pod?.metadata.annotations).toMatchObject({
        'mimeo.dev/drain': expect.stringMatching(/^\d+$/),
        'cluster-autoscaler.kubernetes.io/safe-to-evict': 'true',
      });
      expect(pod?.metadata.deletionTimestamp).toBeUndefined();
    }, within);
    world.reports.say(two, { phase: 'draining', idleSince: null });
    expect(await world.phasesOf(pool)).toEqual(['draining', 'ready']);
    world.reports.say(two, { phase: 'drained' });
    await vi.waitFor(async () => {
      const pod = (await world.podsOf(pool)).find(({ metadata }) => metadata.name === two);
      expect(pod?.metadata.deletionTimestamp).toBeDefined();
    }, within);
    await world.finish(two);
    await world.untilPhases(pool, ['ready']);
    expect((await world.instancesOf(pool))[0]?.id).toBe(one);
  });

  it('that boots is left alone', async () => {
    const world = new PodWorld(api);
    const pool = somePool();
    await world.fleet.apply(pool, 1);

    await world.fleet.apply(pool, 0);

    expect(await world.phasesOf(pool)).toEqual(['node']);
    expect(world.reports.orders).toEqual([]);
  });

  it('goes on draining under the next director, and is deleted where no word comes', async () => {
    const before = new PodWorld(api);
    const pool = somePool();
    const [name = ''] = await before.serve(pool, 1);
    await before.fleet.apply(pool, 0);
    await vi.waitFor(async () => {
      expect((await before.podsOf(pool))[0]?.metadata.annotations['mimeo.dev/drain']).toBeDefined();
    }, within);
    await before.fleet.close({ graceMs: 0 });

    let ahead = 0;
    const after = new PodWorld(api, { now: () => Date.now() + ahead });
    await after.untilPhases(pool, ['draining']);
    await vi.waitFor(
      () => expect(after.reports.orders.map(({ instance }) => instance)).toEqual([name]),
      within,
    );
    ahead = 91_000;
    after.reports.say(name, { phase: 'ready' });

    await vi.waitFor(async () => {
      expect((await after.podsOf(pool))[0]?.metadata.deletionTimestamp).toBeDefined();
    }, within);
  });

  it('leaves nothing of its pool behind with the last of them', async () => {
    const world = new PodWorld(api);
    const pool = somePool();
    const [name = ''] = await world.serve(pool, 1);
    await world.fleet.apply(pool, 0);
    world.reports.say(name, { phase: 'drained' });
    await vi.waitFor(async () => {
      expect((await world.podsOf(pool))[0]?.metadata.deletionTimestamp).toBeDefined();
    }, within);

    await world.finish(name);

    const owner = `${ownersPath}/${poolName(pool.id)}`;
    await vi.waitFor(
      async () => expect(world.client.request('GET', owner)).rejects.toThrow('not found'),
      within,
    );
    expect(await world.instancesOf(pool)).toEqual([]);
    await world.fleet.apply(pool, 1);
    expect(await world.podsOf(pool)).toHaveLength(1);
  });
});

describe('the rights that the stack gives the director', () => {
  it('are enough to lead, and for the whole life of an instance', async () => {
    const token = await api.serviceAccountToken('mimeo', 'director', api.issuer);
    const warnings: object[] = [];
    const logger = { warn: (fields: object) => warnings.push(fields) };
    const world = new PodWorld(api, { token, logger });
    const pool = somePool();
    const { url, authority } = api;
    const leadership = await lead(
      {
        client: createKubernetesClient({ url, authority, token }),
        namespace: 'mimeo',
        name: 'director',
        identity: 'one',
        onLost: (why) => warnings.push({ why }),
        onProblem: (error) => warnings.push({ error }),
      },
      new AbortController().signal,
    );

    const [name = ''] = await world.serve(pool, 1);
    await world.fleet.apply(pool, 0);
    await vi.waitFor(async () => {
      expect((await world.podsOf(pool))[0]?.metadata.annotations['mimeo.dev/drain']).toBeDefined();
    }, within);
    world.reports.say(name, { phase: 'drained' });
    await vi.waitFor(async () => {
      expect((await world.podsOf(pool))[0]?.metadata.deletionTimestamp).toBeDefined();
    }, within);
    await world.finish(name);
    const owner = `${ownersPath}/${poolName(pool.id)}`;
    await vi.waitFor(async () => expect(api.request('GET', owner)).rejects.toThrow('not found'), within);
    await leadership?.release();

    expect(warnings).toEqual([]);
  });

  it.each([
    ['GET', '/api/v1/namespaces/mimeo-models/secrets/any'],
    ['GET', '/api/v1/namespaces/mimeo/configmaps/any'],
    ['GET', '/api/v1/namespaces/mimeo-models/pods/any/log'],
    ['DELETE', '/api/v1/nodes/any'],
    ['DELETE', '/api/v1/namespaces/kube-system/pods/any'],
    ['DELETE', '/api/v1/namespaces/mimeo-models/resourcequotas/all'],
  ])('are not enough for %s %s', async (method, path) => {
    const token = await api.serviceAccountToken('mimeo', 'director', api.issuer);

    await expect(api.request(method, path, undefined, token)).rejects.toMatchObject({ status: 403 });
  });

  it('are none at all for a pod of models', async () => {
    const token = await api.serviceAccountToken('mimeo-models', 'runner', api.issuer);

    await expect(api.request('GET', podsPath, undefined, token)).rejects.toMatchObject({ status: 403 });
  });
});

describe('what goes wrong', () => {
  it('a failed setup is seen with its log until the next apply, and its pod is deleted then', async () => {
    const world = new PodWorld(api);
    const pool = somePool();
    await world.fleet.apply(pool, 1);
    const [{ id: name } = { id: '' }] = await world.instancesOf(pool);
    await world.run(name);
    const failure = { code: 'setup_failed', message: 'there are no weights' } as const;
    world.reports.say(name, { phase: 'failed', failure, setupLogs: 'looking for weights' });
    // Nobody has looked yet.
    await world.fleet.apply(pool, 0);

    await world.untilPhases(pool, ['failed']);
    expect((await world.instancesOf(pool))[0]).toMatchObject({ failure, setupLogs: 'looking for weights' });
    await world.fleet.apply(pool, 0);

    expect(await world.instancesOf(pool)).toEqual([]);
    expect((await world.podsOf(pool))[0]?.metadata.deletionTimestamp).toBeDefined();
  });

  it('an image that is not there fails its instance', async () => {
    const world = new PodWorld(api);
    const pool = somePool();
    await world.fleet.apply(pool, 1);
    const [{ id: name } = { id: '' }] = await world.instancesOf(pool);
    await world.bind(name);
    await world.untilPhases(pool, ['image']);
    const message = 'rpc error: code = NotFound desc = failed to pull and unpack image: not found';
    await world.setStatus(name, {
      phase: 'Pending',
      containerStatuses: [
        {
          name: 'model',
          ready: false,
          restartCount: 0,
          image: 'm',
          imageID: '',
          state: { waiting: { reason: 'ErrImagePull', message } },
        },
      ],
    });

    await world.untilPhases(pool, ['failed']);
    const [failed] = await world.instancesOf(pool);
    expect(failed?.failure).toEqual({
      code: 'image_unavailable',
      message: "The version's image is not in its registry (any more).",
    });
  });

  it('a machine that goes away fails what ran there', async () => {
    const world = new PodWorld(api);
    const pool = somePool();
    const [name = ''] = await world.serve(pool, 1);
    const node = {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: 'node-1', labels: { 'mimeo.dev/sku': 'cpu' } },
    };
    await world.client.request('POST', '/api/v1/nodes', { body: node });
    await world.untilPhases(pool, ['ready']);

    await world.client.request('DELETE', '/api/v1/nodes/node-1');

    await world.untilPhases(pool, ['failed']);
    expect((await world.instancesOf(pool))[0]?.failure?.message).toContain('node-1 is gone');
    await world.fleet.apply(pool, 1);
    // At once: nobody is left to end it, and it would count against the quota.
    expect((await world.podsOf(pool)).map(({ metadata }) => metadata.name)).not.toContain(name);
    expect(await world.phasesOf(pool)).toEqual(['node']);
  });

  it('a server that restarts loses nothing, and is followed again', async () => {
    const world = new PodWorld(api);
    const pool = somePool();
    const [name = ''] = await world.serve(pool, 1);

    await api.restart();

    await vi.waitFor(() => world.fleet.apply(pool, 2), within);
    expect(await world.podsOf(pool)).toHaveLength(2);
    await world.setStatus(name, {
      phase: 'Failed',
      reason: 'Evicted',
      message: 'The node was low on resource: memory.',
    });
    await world.untilPhases(pool, ['failed', 'node']);
  });

  it('whoever leads no more changes nothing', async () => {
    let leads = true;
    const world = new PodWorld(api, { mayAct: () => leads });
    const pool = somePool();
    leads = false;

    await expect(world.fleet.apply(pool, 1)).rejects.toThrow('leads no more');

    expect(await world.podsOf(pool)).toEqual([]);
  });
});

/** A client whose watches tell of nothing until they are released. */
function holdBack(client: KubernetesClient): { readonly client: KubernetesClient; release(): void } {
  let held: (() => void)[] | undefined = [];
  const later = (tell: () => void) => (held ? held.push(tell) : tell());
  return {
    client: {
      request: client.request,
      watch: (watched: Watched) =>
        client.watch({
          ...watched,
          set: (object) => later(() => watched.set(object)),
          remove: (object) => later(() => watched.remove(object)),
        }),
    },
    release() {
      const tells = held ?? [];
      held = undefined;
      for (const tell of tells) tell();
    },
  };
}
