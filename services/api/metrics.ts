import type { OpenAPIHono } from '@hono/zod-openapi';
import { createRoute, z } from '@hono/zod-openapi';
import type { HonoRequest } from 'hono';
import type { Job } from '../core/job.ts';
import type { JobFlow } from '../data/job-flow.ts';
import type { Pools } from '../data/pools.ts';
import type { ApiEnv } from './auth.ts';
import { problems } from './openapi.ts';
import type { Caller } from './predictions.ts';
import type { RouteTable } from './route-table.ts';

/** Jobs of a pool that are counted before a gauge stops at "so many". */
const countLimit = 100_000;

const methods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'QUERY']);

/** Counts requests and ended predictions of this process, a map's step each. */
export class Metrics {
  readonly #requests = new Map<string, number>();
  readonly #ended = new Map<string, number>();

  /** @param routes gives the route of a path; all others are `other` */
  countRequest(method: string, url: string, status: number, routes: RouteTable): void {
    const route = routes.find(pathOf(url)) ?? 'other';
    const known = methods.has(method) ? method : 'other';
    increment(this.#requests, `method="${known}",route="${route}",status="${status}"`);
  }

  countEnd({ kind, status, failure }: Job): void {
    increment(this.#ended, `kind="${kind}",status="${status}",code="${failure?.code ?? ''}"`);
  }

  /** What was counted, and the pools as they are now, in the text format of Prometheus, version 0.0.4. */
  async text(flow: JobFlow, pools: Pools, now: number): Promise<string> {
    const gauges = await gaugesOf(flow, pools, now);
    return [
      family('mimeo_requests_total', 'counter', 'Requests that were answered.', this.#requests),
      family('mimeo_jobs_ended_total', 'counter', 'Predictions that have ended.', this.#ended),
      ...gauges,
      '',
    ].join('\n');
  }
}

/**
 * `GET /metrics`.
 * @param authenticate asks for a token; undefined where nobody but this machine can reach the server
 */
export function metricsRoute(
  app: OpenAPIHono<ApiEnv>,
  parts: {
    readonly metrics: Metrics;
    readonly flow: JobFlow;
    readonly pools: Pools;
    readonly now: () => number;
    readonly authenticate: ((request: HonoRequest) => Promise<Caller>) | undefined;
  },
): void {
  const { metrics, flow, pools, now, authenticate } = parts;
  app.openapi(
    createRoute({
      method: 'get',
      path: '/metrics',
      operationId: 'metrics.get',
      summary: 'Figures for Prometheus, of this process since its start and of all pools',
      ...(authenticate ? {} : { security: [] }),
      responses: {
        200: { content: { 'text/plain': { schema: z.string() } }, description: 'Text format 0.0.4' },
        ...(authenticate ? problems(401) : {}),
      },
    }),
    async (context) => {
      await authenticate?.(context.req);
      return context.text(await metrics.text(flow, pools, now()), 200, {
        'content-type': 'text/plain; version=0.0.4; charset=utf-8',
      });
    },
  );
}

/** Sums by hardware: a label for each model would make as many series as there are models. */
async function gaugesOf(flow: JobFlow, pools: Pools, now: number): Promise<readonly string[]> {
  const queued = new Map<string, number>();
  const running = new Map<string, number>();
  const instances = new Map<string, number>();
  for (const pool of await pools.active(now)) {
    const hardware = `hardware="${escapeLabel(pool.hardware)}"`;
    const [waits, runs, state] = await Promise.all([
      flow.jobs.count(pool.id, 'queued', countLimit),
      flow.jobs.count(pool.id, 'running', countLimit),
      pools.state(pool.id),
    ]);
    increment(queued, hardware, waits);
    increment(running, hardware, runs);
    for (const { phase } of state?.instances ?? []) {
      const isStarting = phase !== 'ready' && phase !== 'draining' && phase !== 'failed';
      increment(instances, `${hardware},state="${isStarting ? 'starting' : phase}"`);
    }
  }
  return [
    family('mimeo_jobs_queued', 'gauge', 'Predictions that wait for an instance.', queued),
    family('mimeo_jobs_running', 'gauge', 'Predictions that an instance runs.', running),
    family('mimeo_instances', 'gauge', 'Running copies of models, as last reported.', instances),
  ];
}

function family(name: string, type: string, help: string, values: ReadonlyMap<string, number>): string {
  const lines = [...values].map(([labels, value]) => `${name}{${labels}} ${value}`);
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...lines].join('\n');
}

function increment(counts: Map<string, number>, key: string, by = 1): void {
  counts.set(key, (counts.get(key) ?? 0) + by);
}

/** Of an absolute URL, without parsing the rest of it. */
function pathOf(url: string): string {
  const start = url.indexOf('/', url.indexOf('://') + 3);
  const query = url.indexOf('?', start);
  return url.slice(start, query === -1 ? undefined : query);
}

function escapeLabel(text: string): string {
  return text.replace(/["\\\n]/g, '_');
}
