import { availableParallelism } from 'node:os';
import { z } from 'zod';
import { describeVariable, logVariables } from '../core/cloud-variables.ts';
import { exactlyOneOf, parseEnvironment } from '../core/environment.ts';

const seconds = z.coerce.number().positive();

const amount = z.int().nonnegative();
const machinesSchema = z.record(
  z.string(),
  z.strictObject({
    cpuMillis: amount.min(200),
    memoryMib: amount.min(512),
    ephemeralMib: amount.min(256),
    gpus: amount,
  }),
);
/** What one instance may take of a machine, its runner included, by SKU. */
export type Machines = z.infer<typeof machinesSchema>;

const machines = z.string().transform((text, context): Machines => {
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch {
    context.addIssue('is not JSON');
    return z.NEVER;
  }
  const parsed = machinesSchema.safeParse(given);
  if (parsed.success) return parsed.data;
  const [first] = parsed.error.issues;
  context.addIssue(`is not right at ${first?.path.join('.') || 'its top'}: ${first?.message}`);
  return z.NEVER;
});

const variables = z.object({
  /** The control plane. */
  MIMEO_URL: z.url({ protocol: /^https?$/ }),
  /** Proves that this is a director; either the token or the file that holds it. */
  MIMEO_DIRECTOR_TOKEN: z.string().min(1).optional(),
  /** Where the token is, such as one that Kubernetes writes anew before its time is over. */
  MIMEO_DIRECTOR_TOKEN_FILE: z.string().min(1).optional(),
  /** What runs the models: processes of this machine, or pods of the cluster that KUBECONFIG or our own pod is of. */
  MIMEO_FLEET: z.enum(['processes', 'kubernetes']).default('processes'),
  /** In a cluster: the image of runners, by digest. */
  MIMEO_RUNNER_IMAGE: z.string().min(1).optional(),
  /** In a cluster: what one instance may take of a machine, as `{SKU: {cpuMillis, memoryMib, ephemeralMib, gpus}}`. */
  MIMEO_MACHINES: machines.optional(),
  /** Where this machine has its versions and their Python environments. */
  MIMEO_HOME: z.string().min(1).default('.mimeo'),
  /** Python interpreter for models' environments; found on PATH where unset. */
  MIMEO_PYTHON: z.string().min(1).optional(),
  /** Most instances at a time. */
  MIMEO_MAX_INSTANCES: z.coerce.number().int().positive().default(availableParallelism()),
  /** An instance that has had nothing to do for this long is stopped. */
  MIMEO_IDLE_SECONDS: seconds.default(60),
  /** A setup that takes longer than this has failed. */
  MIMEO_SETUP_TIMEOUT_SECONDS: seconds.default(600),
  /** Largest file that a model may put out as its whole output, MiB. */
  MIMEO_MAX_FILE_MB: z.coerce.number().positive().default(1024),
  /** After SIGTERM, jobs that have not ended within this are given back. */
  MIMEO_DRAIN_GRACE_SECONDS: seconds.default(25),
  ...logVariables,
});

/** The director's environment; what infra gives it is typed by this. */
export const directorEnvironment = variables
  .superRefine(exactlyOneOf('MIMEO_DIRECTOR_TOKEN', 'MIMEO_DIRECTOR_TOKEN_FILE'))
  .superRefine((env, context) => {
    for (const name of ['MIMEO_RUNNER_IMAGE', 'MIMEO_MACHINES'] as const) {
      const isGiven = env[name] !== undefined;
      if (isGiven === (env.MIMEO_FLEET === 'kubernetes')) continue;
      const message = isGiven
        ? 'is for MIMEO_FLEET=kubernetes only'
        : 'is needed where MIMEO_FLEET is kubernetes';
      context.addIssue({ code: 'custom', path: [name], message });
    }
  });
export type DirectorEnv = z.infer<typeof directorEnvironment>;

/** @throws Error with a line for each mistake */
export function parseDirectorEnv(env: NodeJS.ProcessEnv): DirectorEnv {
  return parseEnvironment(directorEnvironment, env, describeVariable(env));
}
