import { expect, test } from 'vitest';
import { predictionAnswer } from '../../services/cli/answers.ts';
import { explainFailure, summarize } from '../../services/cli/verdict.ts';
import { prediction, predictionId } from './model.ts';

test.each([
  [0, '$0.00'],
  [1, '$0.000001'],
  [2175, '$0.002175'],
  [5800, '$0.0058'],
  [1_500_000, '$1.50'],
  [12_000_000, '$12.00'],
])('%d micro-dollars are shown as %s', (microUsd, shown) => {
  const answer = predictionAnswer.parse(
    prediction({ status: 'succeeded', cost: { micro_usd: microUsd, sku: 'gpu-t4' } }),
  );

  expect(summarize(answer)).toBe(`succeeded; ${shown} (gpu-t4); prediction ${predictionId}`);
});

test.each([
  [
    {
      status: 'failed',
      error: 'The instance was lost.',
      code: 'instance_lost',
      fault: 'platform',
      retryable: true,
    },
    'The prediction failed (instance_lost): The instance was lost.\nAt fault: the platform. It is safe to run it again unchanged.',
  ],
  [
    { status: 'canceled', code: 'deadline_exceeded', fault: 'user', retryable: false },
    'The prediction was canceled (deadline_exceeded): its Cancel-After time had passed.\nAt fault: nobody, it was stopped on purpose.',
  ],
  [
    { status: 'failed', error: 'New kind.', code: 'of_tomorrow', fault: 'the moon', retryable: false },
    'The prediction failed (of_tomorrow): New kind.\nAt fault: the moon. Running it again unchanged will not help.',
  ],
  [{ status: 'failed', error: 'No code.' }, 'The prediction failed: No code.'],
])('%j is explained', (changes, explained) => {
  expect(explainFailure(predictionAnswer.parse(prediction(changes)))).toBe(explained);
});
