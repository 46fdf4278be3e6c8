import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { ProblemError } from '../../core/errors.ts';
import {
  directorManager,
  isPodOf,
  managedByLabel,
  modelsNamespace,
  podName,
  poolName,
  skuLabel,
} from '../../core/kubernetes-names.ts';
import type { Instance, Pool } from '../../core/pool.ts';
import { type KubernetesClient, KubernetesError } from './kubernetes-client.ts';
import {
  doNotDisruptAnnotation,
  drainAnnotation,
  type Manifest,
  ownerOf,
  type PodSettings,
  podOf,
  safeToEvictAnnotation,
} from './pod-spec.ts';
import {
  eventSchema,
  hasEnded,
  instanceOf,
  machineTroubleOf,
  type Node,
  nodeSchema,
  type Pod,
  type PodEvent,
  podSchema,
  poolOfPod,
  type SaidByRunner,
} from './pod-state.ts';
import type { Fleet } from './port.ts';

/** What comes of the runners, which are beside their models and out of this fleet's reach. */
export interface RunnerReports {
  /** What an instance's runner said last. */
  of(instance: string): SaidByRunner | undefined;
  /** Calls back whenever one of them has said something new. Returns a function that stops it. */
  onChange(listener: () => void): () => void;
  /** Has an instance end. It may be lost on the way. */
  drain(order: {
    readonly pool: string;
    readonly instance: string;
    readonly graceSeconds: number;
  }): Promise<void>;
}

export interface KubernetesFleetOptions {
  readonly client: KubernetesClient;
  readonly reports: RunnerReports;
  /** Most instances in all. */
  readonly capacity: number;
  readonly pods: PodSettings;
  /** Asked right before each change: false once another may have taken over. @default always true */
  readonly mayAct?: () => boolean;
  readonly logger?: { warn(fields: object, message: string): void };
  /** Epoch ms. */
  readonly now?: () => number;
}

/** A fleet that outlives whoever decides about it, and so has to say which pools it has instances of. */
export interface KubernetesFleet extends Fleet {
  pools(): readonly Pool[];
}

interface KnownPod {
  readonly pod: Pod;
  readonly pool: Pool;
}

interface Drain {
  /** Epoch ms. */
  readonly since: number;
  isMarked: boolean;
  /** When this director first told it so; null before the control plane took the order. Epoch ms, as all times here. */
  orderedAt: number | null;
  /** When it was last told so, and when its pod was last deleted. */
  toldAt: number;
  deletedAt: number;
}

const api = `/api/v1/namespaces/${modelsNamespace}`;
const fieldManager = directorManager;

/** What runs on an instance that is too many is never cut short: the longest time that a timer holds, in seconds. */
const patientSeconds = Math.floor((2 ** 31 - 1) / 1000);
/** An order to drain may be lost: it is given again this often until the runner says that it drains. */
const repeatMs = 10_000;
/** An instance whose runner has not said so by then is deleted; its pod's own grace is left to it. */
const patienceMs = 90_000;
/** How often something is tried again of which the server gave no answer. */
const maxTries = 3;
/** After a refusal nothing more is asked for on that hardware for this long. */
const quotaPauseMs = 5000;
const troublePauseMs = 1000;
/** Names of pods that are gone, which an answer may still tell of. */
const rememberedGone = 1000;

const uidSchema = z.object({ metadata: z.object({ uid: z.string() }) });

/** A fleet of bare pods, one an instance. It decides nothing, and what it has made outlives it. */
export function createKubernetesFleet(options: KubernetesFleetOptions): KubernetesFleet {
  return new Pods(options);
}

class Pods implements KubernetesFleet {
  readonly capacity: number;
  readonly #options: KubernetesFleetOptions;
  readonly #client: KubernetesClient;
  readonly #reports: RunnerReports;
  readonly #now: () => number;
  readonly #pods = new Map<string, KnownPod>();
  readonly #byPool = new Map<string, Set<string>>();
  /** Pods that were asked for and of which nothing is known yet. */
  readonly #asked = new Map<string, { readonly pool: Pool; readonly at: number }>();
  /** When pods were made that no watch has told of yet, by `performance.now()`. */
  readonly #unconfirmed = new Map<string, number>();
  readonly #gone = new Set<string>();
  readonly #drains = new Map<string, Drain>();
  /** Failed ones that are being deleted, and shown no more. */
  readonly #cleared = new Set<string>();
  readonly #seenFailures = new Set<string>();
  readonly #nodes = new Map<string, Node>();
  readonly #goneNodes = new Set<string>();
  readonly #events = new Map<string, Map<string, PodEvent>>();
  /** The UID of each pool's owner, and the end of one that is being deleted. */
  readonly #owners = new Map<string, Promise<string>>();
  readonly #ownerEnds = new Map<string, Promise<void>>();
  readonly #refusals = new Map<string, { readonly until: number; readonly error: ProblemError }>();
  readonly #listeners = new Set<() => void>();
  readonly #stops: (() => void)[];
  readonly #listed: Promise<void>;
  readonly #busy = new Set<string>();
  #isClosed = false;
  #isTelling = false;

  constructor(options: KubernetesFleetOptions) {
    this.#options = options;
    this.#client = options.client;
    this.#reports = options.reports;
    this.#now = options.now ?? Date.now;
    this.capacity = options.capacity;
    const podsListed = Promise.withResolvers<void>();
    const nodesListed = Promise.withResolvers<void>();
    this.#listed = Promise.all([podsListed.promise, nodesListed.promise]).then(() => {});
    const timer = setInterval(() => this.#tendAll(), repeatMs);
    timer.unref();
    this.#stops = [
      () => clearInterval(timer),
      podsListed.resolve,
      nodesListed.resolve,
      this.#watchPods(podsListed.resolve),
      this.#watchNodes(nodesListed.resolve),
      this.#watchEvents(),
      this.#reports.onChange(() => this.#changed()),
    ];
  }

  async apply(pool: Pool, replicas: number): Promise<void> {
    await this.#listed;
    if (this.#isClosed) return;
    this.#mustLead();
    const work: Promise<void>[] = [];
    for (const { id, phase } of this.#of(pool.id)) {
      if (phase === 'failed' && this.#seenFailures.has(id)) work.push(this.#clear(id));
    }
    const serving = this.#of(pool.id).filter(({ phase }) => phase !== 'failed' && phase !== 'draining');
    const missing = Math.min(replicas - serving.length, this.capacity - this.#used());
    if (missing > 0) work.push(this.#create(pool, missing));
    const stoppable = serving.filter(({ phase }) => phase === 'ready').sort(byIdleness);
    for (const { id } of stoppable.slice(0, Math.max(0, serving.length - replicas))) this.#drain(id);
    const ends = await Promise.allSettled(work);
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
  }

  async observe(): Promise<readonly Instance[]> {
    await this.#listed;
    const instances = [...this.#byPool.keys()].flatMap((pool) => this.#of(pool));
    for (const { id, phase } of instances) if (phase === 'failed') this.#seenFailures.add(id);
    return instances;
  }

  pools(): readonly Pool[] {
    const pools = [...this.#pods.values()].map(({ pool }) => [pool.id, pool] as const);
    return [...new Map(pools).values()];
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const stop of this.#stops) stop();
    await Promise.allSettled([...this.#owners.values(), ...this.#ownerEnds.values()]);
  }

  #of(pool: string): Instance[] {
    return [...(this.#byPool.get(pool) ?? [])].flatMap((name) => {
      const known = this.#pods.get(name);
      if (known) return this.#cleared.has(name) ? [] : [this.#instance(known)];
      const asked = this.#asked.get(name);
      return asked ? [askedFor(name, asked)] : [];
    });
  }

  #instance({ pod, pool }: KnownPod): Instance {
    const { name } = pod.metadata;
    return instanceOf(pool, {
      pod,
      events: [...(this.#events.get(name)?.values() ?? [])],
      machineTrouble: this.#machineTrouble(pod.spec.nodeName),
      said: this.#reports.of(name),
      isLeaving: this.#drains.has(name),
      now: this.#now(),
    });
  }

  #machineTrouble(name: string | null | undefined): string | undefined {
    if (name == null) return undefined;
    const node = this.#nodes.get(name);
    if (node) return machineTroubleOf(node, this.#now());
    return this.#goneNodes.has(name) ? `The instance was lost. Its machine ${name} is gone.` : undefined;
  }

  /** Places that are taken: whatever has not ended may hold a machine. */
  #used(): number {
    const running = [...this.#pods.values()].filter(({ pod }) => !hasEnded(pod)).length;
    return running + this.#asked.size;
  }

  async #create(pool: Pool, count: number): Promise<void> {
    if (pool.image === undefined) {
      throw new ProblemError(
        'invalid_request',
        `Version ${pool.version} of ${pool.model} was made of a folder, which runs on one machine only: a cluster needs an image. Push one to a registry that the cluster reads (npx mimeo push), and use the version that this makes.`,
      );
    }
    if (this.#options.pods.shares[pool.hardware] === undefined) {
      const known = Object.keys(this.#options.pods.shares).join(', ') || 'none';
      throw new ProblemError(
        'invalid_request',
        `${pool.model} asks for the hardware ${pool.hardware}, of which this cluster has no tier (it has: ${known}). Add it to the stack's tiers, or choose another.`,
      );
    }
    const refusal = this.#refusals.get(pool.hardware);
    if (refusal && this.#now() < refusal.until) throw refusal.error;
    // Known before the first word is sent, so that nobody who looks meanwhile starts them again.
    const names = Array.from({ length: count }, () => podName(pool.id, randomBytes(4).toString('hex')));
    for (const name of names) this.#ask(name, pool);
    this.#changed();
    const made = await Promise.allSettled(names.map((name) => this.#createPod(pool, name)));
    for (const end of made) if (end.status === 'rejected') throw end.reason;
  }

  async #createPod(pool: Pool, name: string): Promise<void> {
    try {
      const owner = await this.#ownerOf(pool);
      const manifest = podOf(
        pool,
        name,
        { owner, uploadPath: randomBytes(32).toString('hex') },
        this.#options.pods,
      );
      const pod = podSchema.parse(await this.#apply('pods', manifest));
      this.#asked.delete(name);
      if (!this.#gone.has(name) && !this.#pods.has(name)) {
        this.#unconfirmed.set(name, performance.now());
        this.#set(pod, pool);
      }
    } catch (error) {
      const problem = problemOf(error, pool);
      const pauseMs = isQuota(error) ? quotaPauseMs : troublePauseMs;
      this.#refusals.set(pool.hardware, { until: this.#now() + pauseMs, error: problem });
      this.#forget(name);
      throw problem;
    }
  }

  /** The UID of what a pool's pods belong to, which is made with the first of them. */
  #ownerOf(pool: Pool): Promise<string> {
    const known = this.#owners.get(pool.id);
    if (known) return known;
    const made = (async () => {
      await this.#ownerEnds.get(pool.id);
      return uidSchema.parse(await this.#apply('configmaps', ownerOf(pool))).metadata.uid;
    })();
    this.#owners.set(pool.id, made);
    made.catch(() => this.#owners.delete(pool.id));
    return made;
  }

  /** Server-side apply. It may be sent again: the name makes it the same. */
  async #apply(resource: string, manifest: Manifest): Promise<unknown> {
    const query = `fieldManager=${fieldManager}&force=true`;
    const path = `${api}/${resource}/${manifest.metadata.name}?${query}`;
    for (let tries = 1; ; tries++) {
      try {
        return await this.#write('PATCH', path, manifest, 'application/apply-patch+yaml');
      } catch (error) {
        if (error instanceof ProblemError || tries >= maxTries) throw error;
        if (error instanceof KubernetesError && error.status !== 429 && error.status < 500) throw error;
      }
    }
  }

  async #write(
    method: string,
    path: string,
    body: unknown,
    contentType?: 'application/apply-patch+yaml' | 'application/merge-patch+json',
  ): Promise<unknown> {
    this.#mustLead();
    return await this.#client.request(method, path, { body, ...(contentType ? { contentType } : {}) });
  }

  #mustLead(): void {
    if (this.#options.mayAct?.() !== false) return;
    throw new ProblemError('unavailable', 'This director leads no more: it changes nothing.');
  }

  async #clear(name: string): Promise<void> {
    this.#cleared.add(name);
    this.#changed();
    try {
      await this.#delete(name);
    } catch (error) {
      this.#cleared.delete(name);
      throw error;
    }
  }

  async #delete(name: string): Promise<void> {
    const pod = this.#pods.get(name)?.pod;
    const body = {
      apiVersion: 'v1',
      kind: 'DeleteOptions',
      ...(pod ? { preconditions: { uid: pod.metadata.uid } } : {}),
      // Nobody is left to say that it has ended, and until then it would count against the quota.
      ...(this.#goneNodes.has(pod?.spec.nodeName ?? '') ? { gracePeriodSeconds: 0 } : {}),
    };
    try {
      await this.#write('DELETE', `${api}/pods/${name}`, body);
    } catch (error) {
      if (!(error instanceof KubernetesError) || error.status !== 404) throw error;
      this.#remove(name);
    }
  }

  #drain(name: string): void {
    if (this.#drains.has(name)) return;
    this.#drains.set(name, { since: this.#now(), isMarked: false, orderedAt: null, toldAt: 0, deletedAt: 0 });
    this.#changed();
  }

  /** Sees to all that is to end, also by the order of a director that was here before. */
  #tendAll(): void {
    if (this.#isClosed) return;
    for (const { pod } of this.#pods.values()) {
      const { name, annotations, deletionTimestamp } = pod.metadata;
      if (deletionTimestamp != null || this.#cleared.has(name)) continue;
      const said = this.#reports.of(name);
      const since = annotations[drainAnnotation];
      if (!this.#drains.has(name) && (since !== undefined || isDone(said) || hasLeft(pod, said))) {
        const order = { since: Number(since) || this.#now(), isMarked: since !== undefined };
        this.#drains.set(name, { ...order, orderedAt: null, toldAt: 0, deletedAt: 0 });
      }
      const drain = this.#drains.get(name);
      if (!drain || this.#busy.has(name)) continue;
      this.#busy.add(name);
      this.#tend(pod, drain, said)
        .catch((error: unknown) => {
          this.#options.logger?.warn(
            { error: String(error), instance: name },
            'an instance could not be drained yet',
          );
        })
        .finally(() => this.#busy.delete(name));
    }
  }

  async #tend(pod: Pod, drain: Drain, said: SaidByRunner | undefined): Promise<void> {
    const { name } = pod.metadata;
    const now = this.#now();
    // Whoever could not hear the order, or whose answer cannot be heard, is not silent.
    const isSilent =
      said?.phase !== 'draining' && drain.orderedAt !== null && now - drain.orderedAt > patienceMs;
    if (hasEnded(pod) || isDone(said) || isSilent) {
      if (now - drain.deletedAt < repeatMs) return;
      drain.deletedAt = now;
      await this.#delete(name);
      return;
    }
    if (said?.phase === 'draining' || now - drain.toldAt < repeatMs) return;
    drain.toldAt = now;
    const pool = this.#pods.get(name)?.pool.id;
    const order = async () => {
      if (pool) await this.#reports.drain({ pool, instance: name, graceSeconds: patientSeconds });
      drain.orderedAt ??= now;
    };
    await Promise.all([order(), drain.isMarked ? undefined : this.#mark(name, drain)]);
  }

  /** Writes down that it was told to drain, for the next director, and that its machine need not be kept for it. */
  async #mark(name: string, drain: Drain): Promise<void> {
    const annotations = {
      [drainAnnotation]: String(drain.since),
      [safeToEvictAnnotation]: 'true',
      [doNotDisruptAnnotation]: null,
    };
    const path = `${api}/pods/${name}?fieldManager=${fieldManager}`;
    await this.#write('PATCH', path, { metadata: { annotations } }, 'application/merge-patch+json');
    drain.isMarked = true;
  }

  #watchPods(onListed: () => void): () => void {
    return this.#client.watch({
      path: `${api}/pods`,
      labelSelector: `${managedByLabel}=${directorManager}`,
      set: (object) => {
        const pod = podSchema.safeParse(object).data;
        const pool = pod && poolOfPod(pod);
        if (!pod || !pool || !isPodOf(pool.id, pod.metadata.name)) return;
        this.#unconfirmed.delete(pod.metadata.name);
        this.#asked.delete(pod.metadata.name);
        this.#set(pod, pool);
      },
      remove: (object) => {
        const pod = podSchema.safeParse(object).data;
        if (pod) this.#remove(pod.metadata.name);
      },
      listed: (objects, begunAt) => {
        const names = new Set(objects.map((object) => podSchema.safeParse(object).data?.metadata.name));
        for (const [name, madeAt] of this.#unconfirmed) {
          if (madeAt < begunAt && !names.has(name)) this.#remove(name);
        }
        onListed();
      },
      lost: (error) => this.#lost('pods', error),
    });
  }

  #watchNodes(onListed: () => void): () => void {
    return this.#client.watch({
      path: '/api/v1/nodes',
      labelSelector: skuLabel,
      set: (object) => {
        const node = nodeSchema.safeParse(object).data;
        if (!node) return;
        const { name } = node.metadata;
        const before = this.#nodes.get(name);
        this.#nodes.set(name, node);
        this.#goneNodes.delete(name);
        // Machines speak every few seconds; only what they say of themselves counts.
        if (JSON.stringify(before) !== JSON.stringify(node)) this.#changed();
      },
      remove: (object) => {
        const name = nodeSchema.safeParse(object).data?.metadata.name;
        if (name === undefined) return;
        this.#nodes.delete(name);
        if ([...this.#pods.values()].some(({ pod }) => pod.spec.nodeName === name)) this.#goneNodes.add(name);
        this.#changed();
      },
      listed: onListed,
      lost: (error) => this.#lost('nodes', error),
    });
  }

  #watchEvents(): () => void {
    return this.#client.watch({
      path: `${api}/events`,
      fieldSelector: 'involvedObject.kind=Pod',
      set: (object) => {
        const event = eventSchema.safeParse(object).data;
        const pod = event?.involvedObject.name;
        if (!event || pod === undefined) return;
        const known = this.#events.get(pod) ?? new Map<string, PodEvent>();
        this.#events.set(pod, known.set(event.metadata.name, event));
        if (this.#pods.has(pod)) this.#changed();
      },
      remove: (object) => {
        const event = eventSchema.safeParse(object).data;
        const known = this.#events.get(event?.involvedObject.name ?? '');
        known?.delete(event?.metadata.name ?? '');
        if (known?.size === 0) this.#events.delete(event?.involvedObject.name ?? '');
      },
      listed: () => {},
      lost: (error) => this.#lost('events', error),
    });
  }

  #lost(what: string, error: unknown): void {
    this.#options.logger?.warn(
      { error: String(error) },
      `the watch of ${what} was lost; it is taken up again`,
    );
  }

  #ask(name: string, pool: Pool): void {
    this.#asked.set(name, { pool, at: this.#now() });
    this.#index(name, pool);
  }

  #set(pod: Pod, pool: Pool): void {
    this.#pods.set(pod.metadata.name, { pod, pool });
    this.#index(pod.metadata.name, pool);
    this.#changed();
  }

  #index(name: string, pool: Pool): void {
    const names = this.#byPool.get(pool.id) ?? new Set<string>();
    this.#byPool.set(pool.id, names.add(name));
  }

  /** A pod is gone. */
  #remove(name: string): void {
    this.#gone.add(name);
    for (const oldest of this.#gone) {
      if (this.#gone.size <= rememberedGone) break;
      this.#gone.delete(oldest);
    }
    // There is room again.
    this.#refusals.clear();
    this.#forget(name);
  }

  #forget(name: string): void {
    const pool = this.#pods.get(name)?.pool ?? this.#asked.get(name)?.pool;
    for (const known of [this.#pods, this.#asked, this.#unconfirmed, this.#drains, this.#events])
      known.delete(name);
    for (const names of [this.#cleared, this.#seenFailures]) names.delete(name);
    this.#changed();
    if (!pool) return;
    // Whoever deleted the pod may have deleted what it belonged to.
    this.#owners.delete(pool.id);
    const names = this.#byPool.get(pool.id);
    names?.delete(name);
    if (names?.size) return;
    this.#byPool.delete(pool.id);
    this.#endOwner(pool);
  }

  /** A pool that has no instances leaves nothing behind. */
  #endOwner(pool: Pool): void {
    if (this.#isClosed) return;
    const before = this.#ownerEnds.get(pool.id);
    const end = (async () => {
      await before;
      await this.#write('DELETE', `${api}/configmaps/${poolName(pool.id)}`, undefined);
    })()
      .catch((error: unknown) => {
        if (error instanceof KubernetesError && error.status === 404) return;
        this.#options.logger?.warn(
          { error: String(error), pool: pool.id },
          'a pool left its ConfigMap behind',
        );
      })
      .finally(() => {
        if (this.#ownerEnds.get(pool.id) === end) this.#ownerEnds.delete(pool.id);
      });
    this.#ownerEnds.set(pool.id, end);
  }

  /** Tells of changes, those of one moment together; a listener may well cause the next. */
  #changed(): void {
    if (this.#isTelling || this.#isClosed) return;
    this.#isTelling = true;
    setImmediate(() => {
      this.#isTelling = false;
      this.#tendAll();
      for (const listener of [...this.#listeners]) listener();
    });
  }
}

/** Whether an instance has ended after it drained by itself, as its machine's end had it do. */
function hasLeft(pod: Pod, said: SaidByRunner | undefined): boolean {
  return hasEnded(pod) && said?.phase === 'draining' && said.readyAt !== null;
}

/** Whether nothing more is to be expected of an instance that was not set up in vain. */
function isDone(said: SaidByRunner | undefined): boolean {
  if (said === undefined || said.readyAt === null) return false;
  return said.phase === 'drained' || said.broken !== null;
}

function askedFor(id: string, { pool, at }: { readonly pool: Pool; readonly at: number }): Instance {
  return {
    id,
    pool: pool.id,
    phase: 'node',
    startedAt: at,
    readyAt: null,
    running: 0,
    idleSince: null,
    failure: null,
    setupLogs: '',
  };
}

/** Idle instances first, the longest idle before the others; then those that have the least to end. */
function byIdleness(a: Instance, b: Instance): number {
  const since = ({ idleSince }: Instance) => idleSince ?? Number.POSITIVE_INFINITY;
  return since(a) === since(b) ? a.running - b.running : since(a) - since(b);
}

function isQuota(error: unknown): boolean {
  return error instanceof KubernetesError && error.status === 403 && /exceeded quota/.test(error.message);
}

function problemOf(error: unknown, pool: Pool): ProblemError {
  if (error instanceof ProblemError) return error;
  const words = error instanceof Error ? error.message : String(error);
  if (isQuota(error)) {
    return new ProblemError(
      'unavailable',
      `The cluster takes no more instances on ${pool.hardware}: a quota is used up (${words}). Raise tiers.${pool.hardware}.max or models.maxInstances of the stack.`,
    );
  }
  if (error instanceof KubernetesError) {
    return new ProblemError('unavailable', `The cluster refused an instance of ${pool.id}: ${words}`);
  }
  return new ProblemError('unavailable', `The cluster's API server gave no answer: ${words}`);
}
