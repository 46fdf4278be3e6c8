import { z } from 'zod';

const otlpEndpoint = z
  .literal('')
  .or(z.url({ protocol: /^https?$/ }))
  .optional();

/** The same for the api, which settles when data expires, and the sweeper, which removes the rest. */
export const retentionVariables = {
  /** Input, output and logs of a prediction are removed so long after its end; 0 keeps them. */
  MIMEO_RETENTION_SECONDS: z.coerce.number().int().nonnegative().default(3600),
};

/** What an operator sets of the api, wherever it runs. */
export const apiVariables = {
  ...retentionVariables,
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
  /** Largest file that may be uploaded, or put out by a model as its whole output, in MiB. */
  MIMEO_MAX_FILE_MB: z.coerce.number().positive().default(1024),
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
};
