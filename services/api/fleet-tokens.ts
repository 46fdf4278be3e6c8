import { z } from 'zod';
import { ProblemError } from '../core/errors.ts';
import { signCapability, verifyCapability } from './capability.ts';
import type { FleetIdentity } from './dispatch.ts';

const prefix = 'mft';

const identitySchema = z.discriminatedUnion('role', [
  z.object({ role: z.literal('runner'), pool: z.string(), pod: z.string().optional() }),
  z.object({ role: z.literal('director') }),
]);

/** Mints and checks the short-lived tokens by which runners and directors prove who they are. */
export class FleetTokens {
  readonly #key: Buffer;
  readonly #now: () => number;

  constructor(key: Buffer, now: () => number) {
    this.#key = key;
    this.#now = now;
  }

  mint(identity: FleetIdentity, lifeSeconds: number): string {
    const body = Buffer.from(JSON.stringify(identity)).toString('base64url');
    const expiresAt = Math.floor(this.#now() / 1000) + lifeSeconds;
    return [prefix, body, expiresAt, signCapability(this.#key, subjectOf(body), expiresAt)].join('.');
  }

  /** @throws ProblemError `unauthenticated` */
  verify(token: string): FleetIdentity {
    const [kind, body = '', expires = '', signature = ''] = token.split('.');
    const given = { subject: subjectOf(body), expiresAt: Number(expires), signature };
    if (kind !== prefix || !verifyCapability(this.#key, given, this.#now())) {
      throw new ProblemError('unauthenticated', 'The fleet token is not valid, or its time is over.');
    }
    return identitySchema.parse(JSON.parse(Buffer.from(body, 'base64url').toString()));
  }
}

function subjectOf(body: string): string {
  return `fleet:${body}`;
}
