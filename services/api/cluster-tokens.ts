import { errors, type JWTPayload, jwtVerify } from 'jose';
import { z } from 'zod';
import { ProblemError } from '../core/errors.ts';
import { isPodOf, modelsNamespace, runnerAccount, tokenAudience } from '../core/kubernetes-names.ts';
import { ClusterKeys } from './cluster-keys.ts';
import type { FleetIdentity } from './dispatch.ts';

/** How far the clocks of cluster and api may be apart. */
const clockToleranceSeconds = 30;

/** Whose tokens are taken for what. */
export interface ClusterTrust {
  /** Who signs the tokens of a cluster's ServiceAccounts: a URL. */
  readonly issuer: string;
  /** The director's ServiceAccount, as namespace:name. */
  readonly directorAccount: string;
}

const runnerSubject = `system:serviceaccount:${modelsNamespace}:${runnerAccount}`;
const podClaimsSchema = z.object({ 'kubernetes.io': z.object({ pod: z.object({ name: z.string() }) }) });

/**
 * Knows a cluster's director, and the runners that it has started, by the tokens that Kubernetes gives their pods: signed
 * by the cluster, made out to this platform, and good for an hour. A runner's names its pod, and the pod's name its pool:
 * only the director can make pods where models run.
 * Source: Kubernetes, "Managing Service Accounts", and OpenID Connect Discovery 1.0.
 */
export class ClusterTokens {
  readonly #trust: ClusterTrust;
  readonly #keys: ClusterKeys;
  readonly #now: () => number;

  /** @throws Error for an issuer that is not https */
  constructor(trust: ClusterTrust, now: () => number) {
    this.#trust = trust;
    this.#keys = new ClusterKeys(trust.issuer, now);
    this.#now = now;
  }

  /**
   * @param pool what a runner says that it is of
   * @throws ProblemError `unauthenticated`; `forbidden` for a pod of another pool; `unavailable` where the issuer's keys
   * are not to be had
   */
  async verify(token: string, pool?: string): Promise<FleetIdentity> {
    const payload = await this.#payloadOf(token);
    if (payload.sub === `system:serviceaccount:${this.#trust.directorAccount}`) return { role: 'director' };
    if (payload.sub === runnerSubject && pool !== undefined) return runnerOf(payload, pool);
    throw new ProblemError(
      'unauthenticated',
      'The token is of a ServiceAccount that is no director or runner.',
    );
  }

  async #payloadOf(token: string): Promise<JWTPayload> {
    try {
      const { payload } = await jwtVerify(token, this.#keys.find, {
        // What Kubernetes signs with; above all not `none`, nor a public key taken for a shared one.
        algorithms: ['RS256'],
        issuer: this.#trust.issuer,
        audience: tokenAudience,
        requiredClaims: ['exp', 'sub'],
        clockTolerance: clockToleranceSeconds,
        currentDate: new Date(this.#now()),
      });
      return payload;
    } catch (error) {
      if (!(error instanceof errors.JOSEError)) throw error;
      throw new ProblemError('unauthenticated', `The token is not valid: ${error.code}.`);
    }
  }
}

function runnerOf(payload: JWTPayload, pool: string): FleetIdentity {
  const claims = podClaimsSchema.safeParse(payload);
  const pod = claims.data?.['kubernetes.io'].pod.name;
  if (pod !== undefined && isPodOf(pool, pod)) return { role: 'runner', pool, pod };
  throw new ProblemError('forbidden', 'The token is of a pod of another pool.');
}

/** Whether a token is made like a JWT, and not like one that this api mints. */
export function isJwt(token: string): boolean {
  return token.startsWith('ey') && token.split('.').length === 3;
}
