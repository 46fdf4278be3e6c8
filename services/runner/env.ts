import { z } from 'zod';
import { exactlyOneOf, parseEnvironment } from '../core/environment.ts';

const seconds = z.coerce.number().positive();

const variables = z.object({
  /** The control plane. */
  MIMEO_URL: z.url({ protocol: /^https?$/ }),
  /** Proves which pool this runner may serve; either the token or the file that holds it. */
  MIMEO_RUNNER_TOKEN: z.string().min(1).optional(),
  /** Where the token is: one that Kubernetes gives this runner's pod, and writes anew before its time is over. */
  MIMEO_RUNNER_TOKEN_FILE: z.string().min(1).optional(),
  /** This instance's name, which no other may have. */
  MIMEO_INSTANCE: z.string().min(1).max(200),
  MIMEO_POOL: z.string().min(1),
  /** Predictions that the model runs at once. */
  MIMEO_CONCURRENCY: z.coerce.number().int().positive().default(1),
  /** Whether the model's output is an iterator. */
  MIMEO_STREAMS: z.stringbool().default(false),
  /** The model's Cog server, on this machine. */
  COG_URL: z
    .url({ protocol: /^http$/, hostname: /^127\.0\.0\.1$/ })
    .refine((url) => new URL(url).port !== '', 'needs a port, such as http://127.0.0.1:5000')
    .default('http://127.0.0.1:5000'),
  /**
   * Given to that server as its `--upload-url`, it sends its file here where its version puts out one and nothing else.
   * Whoever knows it can send one, too, so its path is to be long and random.
   */
  COG_UPLOAD_URL: z
    .string()
    .regex(/^http:\/\/127\.0\.0\.1:\d{1,5}\/[\w-]{16,}$/, {
      error: 'takes a port of this machine and a long random path, as in http://127.0.0.1:5001/0f8a…',
    })
    .optional(),
  /** Largest file of that kind, MiB. */
  MIMEO_MAX_FILE_MB: z.coerce.number().positive().default(1024),
  MIMEO_SETUP_TIMEOUT_SECONDS: seconds.default(600),
  /** A model that goes on for longer than this after a cancel is given up. */
  MIMEO_CANCEL_GRACE_SECONDS: seconds.default(10),
  /** After SIGTERM, jobs that have not ended within this are given back. */
  MIMEO_DRAIN_GRACE_SECONDS: seconds.default(25),
  /**
   * Whether it tells the control plane what its instance is like, and drains when it is told to. Then it does not end by
   * itself: whoever has started it learns from its reports that it is to be replaced.
   */
  MIMEO_REPORTS: z.stringbool().default(false),
  /** A port of every address of this machine, where `GET /drain` has it drain and answers when it has. */
  MIMEO_DRAIN_PORT: z.coerce.number().int().min(1).max(65_535).optional(),
  MIMEO_LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('info'),
});
const schema = variables.superRefine(exactlyOneOf('MIMEO_RUNNER_TOKEN', 'MIMEO_RUNNER_TOKEN_FILE'));
export type RunnerEnv = z.infer<typeof schema>;

/** @throws Error with a line for each mistake */
export function parseRunnerEnv(env: NodeJS.ProcessEnv): RunnerEnv {
  // What was set may be a secret.
  return parseEnvironment(
    schema,
    env,
    (name, message) => `${name}${env[name] === undefined ? ' is missing' : `: ${message}`}`,
  );
}
