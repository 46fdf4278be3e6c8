import type { PredictionBody } from '../../services/api/schemas.ts';
import type { FleetProtocol } from '../../services/ports/fleet-protocol/port.ts';
import type { TestApi } from '../support/api.ts';

/** Creates a prediction of `local/echo` and gives its id. */
export async function createPrediction(test: TestApi, text: string): Promise<string> {
  const response = await test.call('POST', '/v1/models/local/echo/predictions', { input: { text } });
  return ((await response.json()) as PredictionBody).id;
}

/** Creates one and runs it, as a model that puts out its input. */
export async function runPrediction(test: TestApi, runner: FleetProtocol, text: string): Promise<string> {
  const id = await createPrediction(test, text);
  const job = await runner.lease({ instance: 'i', waitSeconds: 0 });
  const outcome = { status: 'succeeded' as const, output: text, predictMs: 5, metrics: {} };
  await runner.report({
    id,
    attempt: job?.attempt ?? 0,
    events: [{ type: 'ended', outcome, logs: 'said it', acceptedAfterMs: 0 }],
  });
  return id;
}

/** A prediction as its owner reads it. */
export async function readPrediction(test: TestApi, id: string): Promise<PredictionBody> {
  return (await (await test.call('GET', `/v1/predictions/${id}`)).json()) as PredictionBody;
}
