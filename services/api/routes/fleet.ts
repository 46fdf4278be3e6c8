import { Hono, type HonoRequest } from 'hono';
import type { z } from 'zod';
import { ProblemError } from '../../core/errors.ts';
import { poolStateSchema } from '../../core/pool.ts';
import {
  demandRequestSchema,
  drainRequestSchema,
  type FleetProtocol,
  heartbeatRequestSchema,
  instanceReportSchema,
  jobRefSchema,
  leaseRequestSchema,
  placeFileRequestSchema,
  poolHeader,
  protocolHeader,
  protocolVersion,
  type RunnerToken,
  refuseRequestSchema,
  reportSchema,
  runnerTokenRequestSchema,
} from '../../ports/fleet-protocol/port.ts';
import { bearerToken } from '../auth.ts';
import { type ClusterTokens, isJwt } from '../cluster-tokens.ts';
import type { Dispatch, FleetIdentity } from '../dispatch.ts';
import type { FleetTokens } from '../fleet-tokens.ts';

/** Long enough for any outage that a runner's leases survive. */
const runnerTokenSeconds = 3600;

/** The fleet protocol over HTTP: one POST a call, under `/fleet/v1`. Answers with nothing to say are `null`. */
export function fleetRoutes(parts: {
  readonly dispatch: Dispatch;
  readonly tokens: FleetTokens;
  /** Given where a cluster's director and runners prove themselves by tokens of their own. */
  readonly clusterTokens?: ClusterTokens;
  /** Ends long polls as if nothing had come: whoever polls goes on elsewhere. */
  readonly draining: AbortSignal;
}): Hono {
  const app = new Hono();

  const identify = async (token: string, pool: string | undefined): Promise<FleetIdentity> =>
    parts.clusterTokens && isJwt(token)
      ? parts.clusterTokens.verify(token, pool)
      : parts.tokens.verify(token);

  const call = <T>(
    name: string,
    schema: z.ZodType<T>,
    handle: (
      protocol: FleetProtocol,
      body: T,
      signal: AbortSignal,
      identity: FleetIdentity,
    ) => Promise<unknown>,
  ) =>
    app.post(`/fleet/v1/${name}`, async (context) => {
      refuseOtherVersion(context.req.header(protocolHeader));
      const token = bearerToken(context.req.header('authorization'));
      const identity = await identify(token, context.req.header(poolHeader));
      const parsed = schema.safeParse(await readJson(context.req));
      if (!parsed.success) throw new ProblemError('invalid_body', parsed.error.message);
      const answer = await handle(
        parts.dispatch.protocolFor(identity),
        parsed.data,
        context.req.raw.signal,
        identity,
      );
      return context.json(answer ?? null);
    });

  const endsEarly = (signal: AbortSignal) => AbortSignal.any([signal, parts.draining]);
  call('lease', leaseRequestSchema, async (protocol, body, signal) => {
    const assignment = await protocol.lease(body, endsEarly(signal));
    // Whoever goes before the whole answer was sent does not have the job; should this fail, its lease runs out.
    if (assignment) {
      signal.addEventListener('abort', () => void protocol.giveBack(assignment).catch(() => {}), {
        once: true,
      });
    }
    return assignment;
  });
  call('heartbeat', heartbeatRequestSchema, async (protocol, body) => protocol.heartbeat(body));
  call('watch', leaseRequestSchema, async (protocol, body, signal) =>
    protocol.watch(body, endsEarly(signal)),
  );
  call('report', reportSchema, async (protocol, body) => protocol.report(body));
  call('place-file', placeFileRequestSchema, async (protocol, body) => protocol.placeFile(body));
  call('give-back', jobRefSchema, async (protocol, body) => protocol.giveBack(body));
  call('instance', instanceReportSchema, async (protocol, body) => protocol.reportInstance(body));
  call('drain', drainRequestSchema, async (protocol, body) => protocol.drain(body));
  call('demand', demandRequestSchema, async (protocol, body, signal) =>
    protocol.demand(body, endsEarly(signal)),
  );
  call('pool', poolStateSchema, async (protocol, body) => protocol.reportPool(body));
  call('refuse', refuseRequestSchema, async (protocol, body) => protocol.refuse(body));
  // Whoever starts runners, and tells them what to run, gains nothing by speaking as one of them.
  call('runner-token', runnerTokenRequestSchema, async (_protocol, { pool }, _signal, identity) => {
    if (identity.role !== 'director')
      throw new ProblemError('forbidden', 'Only a director may make this call.');
    const token = parts.tokens.mint({ role: 'runner', pool }, runnerTokenSeconds);
    return { token, lifeSeconds: runnerTokenSeconds } satisfies RunnerToken;
  });
  return app;
}

async function readJson(request: HonoRequest): Promise<unknown> {
  try {
    return await request.json();
  } catch {
    throw new ProblemError('invalid_json', 'The body could not be read as JSON.');
  }
}

function refuseOtherVersion(header: string | undefined): void {
  if (header === String(protocolVersion)) return;
  const spoken = header === undefined ? 'none' : JSON.stringify(header.slice(0, 20));
  throw new ProblemError(
    'protocol_unsupported',
    `This api speaks version ${protocolVersion} of the fleet protocol; the header ${protocolHeader} names ${spoken}.`,
  );
}
