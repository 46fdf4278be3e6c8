import type { Fault } from '../core/errors.ts';
import type { PredictionAnswer } from './answers.ts';

const blame: Readonly<Record<Fault, string>> = {
  input: 'the input',
  model: "the model's code",
  platform: 'the platform',
  capacity: 'a lack of machines',
  budget: 'the spending limit',
  user: 'nobody, it was stopped on purpose',
};

/** A canceled prediction has no error to show; its code says enough. */
const cancelReasons: Readonly<Record<string, string>> = {
  canceled: 'it was stopped while it ran.',
  deadline_exceeded: 'its Cancel-After time had passed.',
  aborted: 'it had not begun to run.',
};

/** The line at the end of a run: `succeeded; ran 1.24 s; $0.000124 (cpu); prediction abc…` */
export function summarize(prediction: PredictionAnswer): string {
  const { metrics, cost } = prediction;
  const price = cost?.micro_usd;
  return [
    prediction.status,
    typeof metrics?.predict_time === 'number' ? `ran ${formatSeconds(metrics.predict_time)}` : '',
    typeof price === 'number' ? `${formatMicroUsd(price)}${cost?.sku ? ` (${cost.sku})` : ''}` : '',
    `prediction ${prediction.id}`,
  ]
    .filter(Boolean)
    .join('; ');
}

/** Why a prediction did not succeed, who is at fault and whether it is worth trying again. */
export function explainFailure(prediction: PredictionAnswer): string {
  const { status, code, error, fault, retryable } = prediction;
  const what = status === 'failed' ? 'The prediction failed' : 'The prediction was canceled';
  const reason = error?.trim() || (code ? cancelReasons[code] : undefined);
  const why = reason ? `: ${reason}` : '.';
  const first = `${what}${code ? ` (${code})` : ''}${why}`;
  if (!fault) return first;
  const again = retryable
    ? 'It is safe to run it again unchanged.'
    : 'Running it again unchanged will not help.';
  return `${first}\nAt fault: ${isFault(fault) ? blame[fault] : fault}. ${fault === 'user' ? '' : again}`.trimEnd();
}

/** Micro-dollars as dollars, with two to six decimals: 2175 is `$0.002175`, 1500000 is `$1.50`. */
function formatMicroUsd(microUsd: number): string {
  return `$${(microUsd / 1_000_000).toFixed(6).replace(/0{1,4}$/, '')}`;
}

function formatSeconds(seconds: number): string {
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  return seconds < 10 ? `${Number(seconds.toPrecision(3))} s` : `${seconds.toFixed(1)} s`;
}

function isFault(fault: string): fault is Fault {
  return Object.hasOwn(blame, fault);
}
