import { availableParallelism } from 'node:os';
import { z } from 'zod';
import { parseEnvironment } from '../core/environment.ts';

const seconds = z.coerce.number().positive();

const otlpEndpoint = z
  .literal('')
  .or(z.url({ protocol: /^https?$/ }))
  .optional();

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
  /** Predictions that a token may create a minute; 0 is no limit. */
  MIMEO_RATE_PREDICTIONS: z.coerce.number().int().nonnegative().default(0),
  /** Other requests that a token may send a minute; 0 is no limit. */
  MIMEO_RATE_REQUESTS: z.coerce.number().int().nonnegative().default(0),
  /** Predictions of an account that wait or run at a time; 0 is no limit. */
  MIMEO_MAX_CONCURRENT_PER_ACCOUNT: z.coerce.number().int().nonnegative().default(0),
  /** Predictions that wait for one pool; 0 is no limit. */
  MIMEO_MAX_QUEUE: z.coerce.number().int().nonnegative().default(100_000),
  /** Origins of web pages that may call the API, separated by commas; `*` for all. */
  MIMEO_CORS_ORIGINS: z
    .string()
    .default('')
    .transform((text) => text.split(',').map((origin) => origin.trim().replace(/\/$/, '')))
    .transform((origins) => origins.filter((origin) => origin !== ''))
    .pipe(
      z.array(
        z.string().regex(/^(\*|https?:\/\/[^/\s]+)$/, {
          error: 'takes origins such as https://app.example.com, separated by commas, or *',
        }),
      ),
    ),
  /** Input, output and logs of a prediction are removed so long after its end; 0 keeps them. */
  MIMEO_RETENTION_SECONDS: z.coerce.number().int().nonnegative().default(3600),
  /** Largest file that may be uploaded, or put out by a model as its whole output, in MiB. */
  MIMEO_MAX_FILE_MB: z.coerce.number().positive().default(1024),
  /** `full` survives a power cut, too, at the price of a disk flush for each write. */
  MIMEO_SQLITE_SYNCHRONOUS: z.enum(['normal', 'full']).default('normal'),
  /** Whether webhooks may call loopback and private addresses. */
  MIMEO_WEBHOOK_PRIVATE: z.stringbool().default(true),
  /** Micro-dollars per second by SKU, such as {"gpu-t4": 250}, in place of the default prices. */
  MIMEO_PRICES: z
    .string()
    .default('{}')
    .transform((text, context) => {
      try {
        return JSON.parse(text) as unknown;
      } catch {
        context.addIssue('is not JSON, such as {"gpu-t4": 250}');
        return z.NEVER;
      }
    })
    .pipe(z.record(z.string(), z.int().nonnegative())),
  /** Where traces are sent, OTLP over HTTP; none are made where neither is set. All other `OTEL_*` hold as well. */
  OTEL_EXPORTER_OTLP_ENDPOINT: otlpEndpoint,
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: otlpEndpoint,
  OTEL_SDK_DISABLED: z.string().optional(),
  OTEL_TRACES_EXPORTER: z.string().optional(),
  MIMEO_LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('warn'),
});
export type LocalEnv = z.infer<typeof schema>;

/** @throws Error with a line for each mistake */
export function parseLocalEnv(env: NodeJS.ProcessEnv): LocalEnv {
  return parseEnvironment(schema, env, (name, message) => `${name}=${JSON.stringify(env[name])}: ${message}`);
}
