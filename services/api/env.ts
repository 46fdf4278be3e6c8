import { z } from 'zod';
import { apiVariables } from '../core/api-variables.ts';
import {
  cloudVariables,
  describeVariable,
  logVariables,
  publicUrlVariables,
} from '../core/cloud-variables.ts';
import { parseEnvironment } from '../core/environment.ts';
import { pushVariables } from '../core/registry-variables.ts';

const seconds = z.coerce.number().positive();

/** The api's environment in the cloud; what infra gives it is typed by this. */
export const apiEnvironment = z.object({
  ...cloudVariables,
  ...publicUrlVariables,
  ...apiVariables,
  ...pushVariables,
  ...logVariables,
  /** Where it listens; 0 takes any free port. */
  MIMEO_PORT: z.coerce.number().int().min(0).max(65535).default(8080),
  /** The address that it listens on; `0.0.0.0` where a load balancer of another machine calls. */
  MIMEO_HOST: z.union([z.ipv4(), z.ipv6()]).default('127.0.0.1'),
  /** After SIGTERM all is over within this. ECS kills after 120 s at most. */
  MIMEO_DRAIN_SECONDS: seconds.default(110),
  /** For how long after SIGTERM a load balancer may still send requests here. */
  MIMEO_DEREGISTRATION_SECONDS: z.coerce.number().nonnegative().default(10),
  /** After this long without traffic the load balancer closes a connection: ours are kept for 5 s longer. */
  MIMEO_IDLE_TIMEOUT_SECONDS: seconds.default(120),
  /** The secret that the first token is put into when the platform starts for the first time; none is made without it. */
  MIMEO_FIRST_TOKEN_SECRET_ARN: z
    .string()
    .regex(/^arn:[\w-]+:secretsmanager:/, "takes a secret's ARN, arn:aws:secretsmanager:…")
    .optional(),
  /** Who signs the tokens of the cluster's ServiceAccounts, by which its director proves itself; both or none. */
  MIMEO_CLUSTER_ISSUER: z.url({ protocol: /^https?$/ }).optional(),
  /** The director's ServiceAccount there, as namespace:name. */
  MIMEO_DIRECTOR_SERVICE_ACCOUNT: z
    .string()
    .regex(/^[a-z0-9-]+:[a-z0-9.-]+$/, 'takes a ServiceAccount such as mimeo:director')
    .optional(),
  /** Whether webhooks may be plain http and call loopback and private addresses. */
  MIMEO_WEBHOOK_PRIVATE: z.stringbool().default(false),
});
export type ApiEnvironment = z.infer<typeof apiEnvironment>;

/** @throws Error with a line for each mistake */
export function parseApiEnv(env: NodeJS.ProcessEnv): ApiEnvironment {
  return parseEnvironment(apiEnvironment, env, describeVariable(env));
}
