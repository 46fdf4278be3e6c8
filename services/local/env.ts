import { availableParallelism } from 'node:os';
import { z } from 'zod';
import { apiVariables } from '../core/api-variables.ts';
import { parseEnvironment } from '../core/environment.ts';

const seconds = z.coerce.number().positive();

const schema = z.object({
  /** Where the server listens; 0 takes any free port. */
  MIMEO_PORT: z.coerce.number().int().min(0).max(65535).default(8080),
  /** The folder of all state. */
  MIMEO_HOME: z.string().min(1).default('.mimeo'),
  /** How clients reach the server, where that is not http://127.0.0.1:PORT. */
  MIMEO_PUBLIC_URL: z.url({ protocol: /^https?$/ }).optional(),
  /** PEM files of a certificate (with its chain) and its key: the server then speaks https. */
  MIMEO_TLS_CERT: z.string().min(1).optional(),
  MIMEO_TLS_KEY: z.string().min(1).optional(),
  /** Python interpreter for models' environments; found on PATH where unset. */
  MIMEO_PYTHON: z.string().min(1).optional(),
  /** Most instances at a time. */
  MIMEO_MAX_INSTANCES: z.coerce.number().int().positive().default(availableParallelism()),
  /** An instance that has had nothing to do for this long is stopped. */
  MIMEO_IDLE_SECONDS: seconds.default(60),
  /** A setup that takes longer than this has failed. */
  MIMEO_SETUP_TIMEOUT_SECONDS: seconds.default(600),
  ...apiVariables,
  /** `full` survives a power cut, too, at the price of a disk flush for each write. */
  MIMEO_SQLITE_SYNCHRONOUS: z.enum(['normal', 'full']).default('normal'),
  /** Whether webhooks may call loopback and private addresses. */
  MIMEO_WEBHOOK_PRIVATE: z.stringbool().default(true),
  MIMEO_LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('warn'),
});
export type LocalEnv = z.infer<typeof schema>;

/** @throws Error with a line for each mistake */
export function parseLocalEnv(env: NodeJS.ProcessEnv): LocalEnv {
  return parseEnvironment(schema, env, (name, message) => `${name}=${JSON.stringify(env[name])}: ${message}`);
}
