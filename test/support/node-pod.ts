import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { z } from 'zod';
import { type ContainerImage, type ContainerProcess, podPort, startContainer } from './container-process.ts';
import { KubernetesRefusal } from './kubernetes-api.ts';
import type { KubernetesCluster } from './kubernetes-cluster.ts';

const containerSchema = z.object({
  name: z.string(),
  image: z.string(),
  restartPolicy: z.string().optional(),
  command: z.array(z.string()).optional(),
  args: z.array(z.string()).optional(),
  /** Values from elsewhere than the pod are nothing that the director uses. */
  env: z.array(z.strictObject({ name: z.string(), value: z.string().default('') })).default([]),
  volumeMounts: z.array(z.object({ name: z.string(), mountPath: z.string() })).default([]),
  lifecycle: z
    .object({ preStop: z.object({ httpGet: z.object({ path: z.string(), port: z.int() }) }).optional() })
    .optional(),
});
type Container = z.infer<typeof containerSchema>;

/** What a kubelet reads of a pod. */
export const podSchema = z.object({
  metadata: z.object({
    name: z.string(),
    namespace: z.string(),
    uid: z.string(),
    deletionTimestamp: z.string().optional(),
    deletionGracePeriodSeconds: z.number().optional(),
  }),
  spec: z.object({
    serviceAccountName: z.string(),
    terminationGracePeriodSeconds: z.number().default(30),
    initContainers: z.array(containerSchema).default([]),
    containers: z.array(containerSchema),
    volumes: z
      .array(
        z.object({
          name: z.string(),
          projected: z
            .object({
              sources: z.array(
                z.object({
                  serviceAccountToken: z.object({ audience: z.string(), path: z.string() }).optional(),
                }),
              ),
            })
            .optional(),
        }),
      )
      .default([]),
  }),
});
export type Pod = z.infer<typeof podSchema>;

/** What of its machine a pod has to do with. */
export interface PodSurroundings {
  readonly cluster: KubernetesCluster;
  readonly node: string;
  /** Waits until the image is there. @returns undefined where the registry has none of that name */
  pull(image: string): Promise<ContainerImage | undefined>;
}

type State =
  | { readonly waiting: { readonly reason: string; readonly message?: string } }
  | { readonly running: { readonly startedAt: string } }
  | {
      readonly terminated: {
        readonly exitCode: number;
        readonly reason: string;
        readonly finishedAt: string;
      };
    };

interface Running {
  readonly container: Container;
  readonly isSidecar: boolean;
  process: ContainerProcess | undefined;
  state: State;
  lastState: State | undefined;
  restarts: number;
}

const backOffMs = 2000;
/** What a kubelet leaves sidecars in any case. */
const leastSidecarMs = 2000;

/**
 * A pod as a kubelet runs it: the containers' processes, started one after another as its sidecars come before the rest,
 * with the pod's own environment and token, and what becomes of them told in its status. Pods share this machine's
 * loopback, so the ports that a pod's containers speak to each other on are other ones than it says, and nothing else.
 */
export class NodePod {
  readonly pod: Pod;
  readonly #at: PodSurroundings;
  readonly #containers: readonly Running[];
  readonly #ports = new Map<string, string>();
  readonly #paths = new Map<string, string>();
  readonly #cleared = Promise.withResolvers<void>();
  #folder = '';
  #isEnding = false;
  #isTerminating = false;
  #isGone = false;
  #failure: { readonly reason: string; readonly message: string } | undefined;
  #killReason: string | undefined;
  #posting: Promise<void> | undefined;
  #isStale = false;

  constructor(pod: Pod, at: PodSurroundings) {
    this.pod = pod;
    this.#at = at;
    const waiting = (container: Container, isSidecar: boolean): Running => ({
      container,
      isSidecar,
      process: undefined,
      state: { waiting: { reason: isSidecar ? 'PodInitializing' : 'ContainerCreating' } },
      lastState: undefined,
      restarts: 0,
    });
    this.#containers = [
      ...pod.spec.initContainers.map((container) => waiting(container, true)),
      ...pod.spec.containers.map((container) => waiting(container, false)),
    ];
  }

  /** Resolves once nothing of it is left. */
  get cleared(): Promise<void> {
    return this.#cleared.promise;
  }

  get isRunning(): boolean {
    return this.#containers.some(isRunning);
  }

  /** The end of what a container has written. */
  said(container: string): string {
    return this.#containers.find((one) => one.container.name === container)?.process?.said() ?? '';
  }

  async start(): Promise<void> {
    this.#folder = await mkdtemp(join(tmpdir(), 'mimeo-pod-'));
    try {
      await this.#mount();
    } catch (error) {
      // Its folder may have gone with it.
      if (this.#isGone) return;
      throw error;
    }
    await this.#findPorts();
    this.#changed();
    for (const running of this.#containers) {
      const image = await this.#pull(running);
      if (image === undefined || this.#isEnding) return;
      this.#launch(running, image);
    }
  }

  /** Kills the model as Linux does where its container is over its memory. */
  outOfMemory(): void {
    this.#killReason = 'OOMKilled';
    for (const { isSidecar, process } of this.#containers) if (!isSidecar) process?.kill();
  }

  /** Ends it as a kubelet does whose machine is short of something: at once, and the pod stays as failed. */
  async evict(message: string): Promise<void> {
    this.#isEnding = true;
    this.#failure = { reason: 'Evicted', message };
    await this.#killAll();
    this.#changed();
    await this.#posted();
  }

  /** Kills all of it and tells nobody: its machine is gone. */
  async lose(): Promise<void> {
    this.#isEnding = true;
    this.#isGone = true;
    await this.#killAll();
    await this.#clear();
  }

  /** As a kubelet ends a pod that has been deleted: first what its containers ask for, then SIGTERM, then the sidecars. */
  async terminate(graceSeconds: number): Promise<void> {
    if (this.#isTerminating) return;
    this.#isTerminating = true;
    this.#isEnding = true;
    const until = performance.now() + graceSeconds * 1000;
    await Promise.all(
      this.#containers.filter((one) => !one.isSidecar).map((one) => this.#end(one, until, 0)),
    );
    await Promise.all(
      this.#containers.filter((one) => one.isSidecar).map((one) => this.#end(one, until, leastSidecarMs)),
    );
    this.#changed();
    await this.#posted();
    const { name, namespace, uid } = this.pod.metadata;
    const options = { gracePeriodSeconds: 0, preconditions: { uid } };
    await this.#call('DELETE', `/api/v1/namespaces/${namespace}/pods/${name}`, options);
    this.#isGone = true;
    await this.#clear();
  }

  async #end(running: Running, until: number, leastMs: number): Promise<void> {
    const { process, container } = running;
    if (!process || !isRunning(running)) return;
    const left = () => Math.ceil(Math.max(leastMs, until - performance.now()));
    const hook = container.lifecycle?.preStop?.httpGet;
    if (hook) {
      const port = this.#ports.get(String(hook.port)) ?? hook.port;
      const url = `http://127.0.0.1:${port}${hook.path}`;
      await fetch(url, { signal: AbortSignal.timeout(left()) }).catch((error: unknown) =>
        this.#event('Warning', 'FailedPreStopHook', `PreStopHook failed: ${String(error)}`),
      );
    }
    process.terminate();
    const timer = setTimeout(() => process.kill(), left());
    await process.exited;
    clearTimeout(timer);
  }

  async #killAll(): Promise<void> {
    for (const { process } of this.#containers) process?.kill();
    await Promise.all(this.#containers.map(({ process }) => process?.exited));
  }

  async #clear(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 10 });
    this.#cleared.resolve();
  }

  /** Files of tokens; folders that containers share have no place of their own here. */
  async #mount(): Promise<void> {
    const { metadata, spec } = this.pod;
    for (const { name, projected } of spec.volumes) {
      const folder = join(this.#folder, name);
      await mkdir(folder);
      for (const { serviceAccountToken: wanted } of projected?.sources ?? []) {
        if (!wanted) continue;
        const { namespace, ...own } = metadata;
        const token = await this.#insist(() =>
          this.#at.cluster.serviceAccountToken(namespace, spec.serviceAccountName, wanted.audience, own),
        );
        await writeFile(join(folder, wanted.path), token ?? '', { mode: 0o600 });
      }
      if (projected) this.#paths.set(name, folder);
    }
  }

  async #findPorts(): Promise<void> {
    const { initContainers, containers } = this.pod.spec;
    const variables = [...initContainers, ...containers].flatMap(({ env }) => env);
    for (const { name, value } of variables) {
      const isUrl = name.startsWith('COG_') && value.startsWith('http://127.0.0.1:');
      const port = isUrl ? new URL(value).port : /(^|_)PORT$/.test(name) ? value : undefined;
      if (port !== undefined && !this.#ports.has(port)) this.#ports.set(port, String(await podPort()));
    }
  }

  /** A value of the pod as it is true on this machine. */
  #here(value: string, { volumeMounts }: Container): string {
    const mount = volumeMounts.find(({ mountPath }) => value.startsWith(`${mountPath}/`));
    const folder = mount && this.#paths.get(mount.name);
    if (mount && folder !== undefined) return join(folder, value.slice(mount.mountPath.length));
    return value.replace(/127\.0\.0\.1:(\d+)/g, (whole, port: string) => {
      const here = this.#ports.get(port);
      return here === undefined ? whole : `127.0.0.1:${here}`;
    });
  }

  async #pull(running: Running): Promise<ContainerImage | undefined> {
    const { image } = running.container;
    for (let pauseMs = backOffMs; !this.#isEnding; pauseMs *= 2) {
      await this.#event('Normal', 'Pulling', `Pulling image "${image}"`);
      const found = await this.#at.pull(image);
      if (found) {
        await this.#event(
          'Normal',
          'Pulled',
          `Successfully pulled image "${image}" in 1s (1s including waiting).`,
        );
        return found;
      }
      // In the words of containerd 2 and the kubelet.
      const message =
        `failed to pull and unpack image "${image}": failed to resolve reference "${image}": ` +
        `${image}: not found`;
      const why = `rpc error: code = NotFound desc = ${message}`;
      this.#become(running, { waiting: { reason: 'ErrImagePull', message: why } });
      await this.#event('Warning', 'Failed', `Failed to pull image "${image}": ${why}`);
      await this.#posted();
      const backOff = `Back-off pulling image "${image}": ErrImagePull: ${why}`;
      this.#become(running, { waiting: { reason: 'ImagePullBackOff', message: backOff } });
      await pause(pauseMs, undefined, { ref: false });
    }
    return undefined;
  }

  #launch(running: Running, image: ContainerImage): void {
    const { container, isSidecar } = running;
    const own = container.env.map(({ name, value }) => {
      const port = /(^|_)PORT$/.test(name) ? this.#ports.get(value) : undefined;
      return [name, port ?? this.#here(value, container)] as const;
    });
    const args = (container.args ?? image.cmd).map((arg) => this.#here(arg, container));
    const process = startContainer(
      [...(container.command ?? image.entrypoint), ...args],
      { ...image.env, ...Object.fromEntries(own) },
      image.cwd,
    );
    running.process = process;
    const startedAt = new Date().toISOString();
    this.#become(running, { running: { startedAt } });
    void this.#event('Normal', 'Started', `Started container ${container.name}`);
    void process.exited.then((exitCode) => {
      const reason = (isSidecar ? undefined : this.#killReason) ?? (exitCode === 0 ? 'Completed' : 'Error');
      const state = { terminated: { exitCode, reason, startedAt, finishedAt: new Date().toISOString() } };
      this.#become(running, state);
      if (this.#isEnding) return;
      if (isSidecar) void this.#restart(running, image, state);
      else void this.#finish();
    });
  }

  /** A sidecar is started again whenever it ends, the first time at once. */
  async #restart(running: Running, image: ContainerImage, ended: State): Promise<void> {
    running.lastState = ended;
    running.restarts++;
    if (running.restarts > 1) {
      const message = `back-off restarting failed container ${running.container.name}`;
      this.#become(running, { waiting: { reason: 'CrashLoopBackOff', message } });
      await pause(backOffMs * 2 ** running.restarts, undefined, { ref: false });
    }
    if (!this.#isEnding) this.#launch(running, image);
  }

  /** Once the last container that is no sidecar has ended, so do those. */
  async #finish(): Promise<void> {
    if (this.#containers.some((one) => !one.isSidecar && isRunning(one))) return;
    this.#isEnding = true;
    const until = performance.now() + this.pod.spec.terminationGracePeriodSeconds * 1000;
    await Promise.all(this.#containers.map((one) => this.#end(one, until, leastSidecarMs)));
    this.#changed();
    await this.#posted();
  }

  #become(running: Running, state: State): void {
    running.state = state;
    this.#changed();
  }

  #changed(): void {
    this.#isStale = true;
    this.#posting ??= this.#post().finally(() => {
      this.#posting = undefined;
    });
  }

  async #posted(): Promise<void> {
    while (this.#posting) await this.#posting;
  }

  async #post(): Promise<void> {
    // What changes together is told together.
    await pause(0);
    const { name, namespace } = this.pod.metadata;
    while (this.#isStale && !this.#isGone) {
      this.#isStale = false;
      await this.#call('PATCH', `/api/v1/namespaces/${namespace}/pods/${name}/status`, {
        metadata: { uid: this.pod.metadata.uid },
        status: this.#status(),
      });
    }
  }

  #status(): object {
    const mains = this.#containers.filter((one) => !one.isSidecar);
    const sidecars = this.#containers.filter((one) => one.isSidecar);
    const areReady = this.#containers.every(isRunning);
    const haveEnded = this.#containers.every((one) => !isRunning(one));
    const codes = mains.map(({ state }) => ('terminated' in state ? state.terminated.exitCode : undefined));
    const isOver = this.#failure !== undefined || (haveEnded && codes.every((code) => code !== undefined));
    const phase = this.#failure
      ? 'Failed'
      : isOver
        ? codes.every((code) => code === 0)
          ? 'Succeeded'
          : 'Failed'
        : mains.some(isRunning)
          ? 'Running'
          : 'Pending';
    const condition = (type: string, isTrue: boolean, reason: string) => ({
      type,
      status: isTrue ? 'True' : 'False',
      // null takes away what was there.
      reason: isTrue ? null : reason,
      lastTransitionTime: new Date().toISOString(),
    });
    const reason = isOver ? 'PodFailed' : 'ContainersNotReady';
    return {
      phase,
      ...(this.#failure ?? {}),
      hostIP: '127.0.0.1',
      podIP: '127.0.0.1',
      podIPs: [{ ip: '127.0.0.1' }],
      conditions: [
        condition('PodReadyToStartContainers', !isOver, reason),
        condition('Initialized', sidecars.every(isRunning), 'ContainersNotInitialized'),
        condition('ContainersReady', areReady, reason),
        condition('Ready', areReady, reason),
      ],
      initContainerStatuses: sidecars.map(statusOf),
      containerStatuses: mains.map(statusOf),
    };
  }

  async #event(type: string, reason: string, message: string): Promise<void> {
    if (this.#isGone) return;
    const { name, namespace, uid } = this.pod.metadata;
    const at = new Date().toISOString();
    await this.#call('POST', `/api/v1/namespaces/${namespace}/events`, {
      metadata: { name: `${name}.${randomBytes(8).toString('hex')}`, namespace },
      involvedObject: { apiVersion: 'v1', kind: 'Pod', name, namespace, uid },
      type,
      reason,
      message,
      source: { component: 'kubelet', host: this.#at.node },
      firstTimestamp: at,
      lastTimestamp: at,
      count: 1,
    });
  }

  async #call(method: string, path: string, body: unknown): Promise<void> {
    await this.#insist(() => this.#at.cluster.request(method, path, body));
  }

  /** Until the server is there again; of a pod that is not there any more it refuses everything. */
  async #insist<T>(ask: () => Promise<T>): Promise<T | undefined> {
    while (!this.#isGone) {
      try {
        return await ask();
      } catch (error) {
        if (error instanceof KubernetesRefusal && error.status < 500 && error.status !== 429)
          return undefined;
        await pause(200, undefined, { ref: false });
      }
    }
    return undefined;
  }
}

function isRunning({ state }: Running): boolean {
  return 'running' in state;
}

function statusOf({ container, state, lastState, restarts }: Running): object {
  const runs = 'running' in state;
  return {
    name: container.name,
    image: container.image,
    imageID: runs ? container.image : '',
    ready: runs,
    started: runs,
    restartCount: restarts,
    state,
    ...(lastState ? { lastState } : {}),
  };
}
