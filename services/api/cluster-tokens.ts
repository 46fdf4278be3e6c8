import { errors, jwtVerify } from 'jose';
import { ProblemError } from '../core/errors.ts';
import { tokenAudience } from '../core/kubernetes-names.ts';
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

/**
 * Knows a cluster's director by the token that Kubernetes gives its pod: signed by the cluster, made out to this
 * platform, and good for an hour.
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

  /** @throws ProblemError `unauthenticated`, or `unavailable` where the issuer's keys are not to be had */
  async verify(token: string): Promise<FleetIdentity> {
    const subject = await this.#subjectOf(token);
    if (subject === `system:serviceaccount:${this.#trust.directorAccount}`) return { role: 'director' };
    throw new ProblemError('unauthenticated', 'The token is of a ServiceAccount that is no director.');
  }

  async #subjectOf(token: string): Promise<string | undefined> {
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
      return payload.sub;
    } catch (error) {
      if (!(error instanceof errors.JOSEError)) throw error;
      throw new ProblemError('unauthenticated', `The token is not valid: ${error.code}.`);
    }
  }
}

/** Whether a token is made like a JWT, and not like one that this api mints. */
export function isJwt(token: string): boolean {
  return token.startsWith('ey') && token.split('.').length === 3;
}
