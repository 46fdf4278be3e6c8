import type { Handler } from './contract-server.ts';
import { answer } from './contract-server.ts';

export const versionId = 'a'.repeat(64);
export const predictionId = 'abcdefghijklmnopqrstuvwxyz';

type JsonObject = Record<string, unknown>;

/** A version with Cog's own form of OpenAPI document. */
export function version(inputs: JsonObject, output: JsonObject, required: string[] = []) {
  return {
    id: versionId,
    created_at: '2026-11-21T09:30:00.123000Z',
    cog_version: '0.23.1',
    openapi_schema: {
      components: {
        schemas: {
          Input: { type: 'object', properties: inputs, required },
          Output: output,
          // Cog writes choices as a schema of their own.
          mode: { type: 'string', enum: ['fast', 'good'] },
        },
      },
    },
  };
}

export const textOutput = { type: 'string' };
export const streamedText = {
  type: 'array',
  items: { type: 'string' },
  'x-cog-array-type': 'iterator',
  'x-cog-array-display': 'concatenate',
};

/** A prediction as the API shows it. */
export function prediction(changes: JsonObject = {}) {
  return {
    id: predictionId,
    model: 'ada/echo',
    version: versionId,
    input: {},
    output: null,
    logs: '',
    error: null,
    status: 'starting',
    source: 'api',
    data_removed: false,
    created_at: '2026-11-21T09:30:00.123000Z',
    started_at: null,
    completed_at: null,
    metrics: {},
    urls: { get: `/v1/predictions/${predictionId}`, cancel: `/v1/predictions/${predictionId}/cancel` },
    cost: { sku: 'cpu', micro_usd_per_second: 100, billed_seconds: null, micro_usd: null },
    ...changes,
  };
}

export const succeeded = {
  status: 'succeeded',
  metrics: { predict_time: 1.2345, total_time: 1.3 },
  cost: { sku: 'cpu', micro_usd_per_second: 100, billed_seconds: 1.235, micro_usd: 124 },
};

/** The routes of a model `ada/echo` whose predictions are those given, one a look, the last one for ever. */
export function modelRoutes(
  of: ReturnType<typeof version>,
  first: JsonObject,
  ...looks: JsonObject[]
): Record<string, Handler> {
  let looked = 0;
  return {
    'GET /models/ada/echo': (_request, response) =>
      answer(response, 200, { owner: 'ada', name: 'echo', visibility: 'private', latest_version: of }),
    [`GET /models/ada/echo/versions/${versionId}`]: (_request, response) => answer(response, 200, of),
    'POST /predictions': (_request, response) => answer(response, 201, prediction(first)),
    [`GET /predictions/${predictionId}`]: (_request, response) =>
      answer(response, 200, prediction(looks[Math.min(looked++, looks.length - 1)] ?? first)),
    [`POST /predictions/${predictionId}/cancel`]: (_request, response) =>
      answer(response, 200, prediction({ ...succeeded, status: 'canceled' })),
  };
}
