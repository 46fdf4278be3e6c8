import { findInstanceType, hoursPerMonth } from '../../aws/prices.ts';
import type { ResourceGraph } from './graph.ts';
import { numberAt, textAt } from './inputs.ts';

/**
 * What the plan supposes of a month in which every machine is busy. None of it is in the program: it is what people do.
 * Counts of requests are those that `npm run bench -- cost` measures (docs/data-model.md, "What a million costs").
 */
export const usage = {
  /** Seconds that a prediction runs. */
  predictionSeconds: 2,
  /** MB of the file that each puts out, and somebody fetches once. */
  fileMb: 0.25,
  /** Requests to the api by client and runner, for each prediction. */
  apiRequests: 5,
  /** DynamoDB write units for each: 8 for the row, 2.56 for the ledger, 2 for payloads. */
  writeUnits: 12.56,
  /** DynamoDB read units for each. */
  readUnits: 4.24,
  /** SQS requests for each. */
  queueRequests: 3,
  /** Calls of functions for each: ends are metered 25 at a time. */
  functionCalls: 0.04,
  /** KB that a prediction leaves in the table for good: its row and a line of the ledger. */
  keptKb: 1.5,
  /** KB of the api's logs for each prediction. */
  logKb: 3,
  /** Hours that files are kept. */
  fileHours: 1,
  /** GB of weights that a machine fetches from the internet each day. */
  weightsGbPerMachineDay: 10,
  /** GB of models' images in the registry. */
  imagesGb: 100,
  /** Read units of a minute's sweep and of looks at schedules while nobody calls. */
  idleReadUnitsPerMinute: 20,
  /** Seconds that a scheduled function runs. */
  scheduledSeconds: 1,
  /** GB of logs a month by what writes them. */
  clusterLogGb: 5,
  flowLogGbIdle: 1,
  flowLogGbPerMachine: 5,
} as const;

/** Predictions in a month in which all tiers run as many machines as they may, each GPU (or CPU machine) one at a time. */
export function predictionsAtPeak(graph: ResourceGraph): number {
  const slots = graph.tiers.reduce((sum, { inputs }) => {
    const machines = numberAt(inputs, 'scalingConfig', 'maxSize') ?? 0;
    const gpus = findInstanceType(textAt(inputs, 'instanceTypes', 0) ?? '')?.gpu?.count ?? 1;
    return sum + machines * gpus;
  }, 0);
  return (slots * hoursPerMonth * 3600) / usage.predictionSeconds;
}

/** Machines for models at most. */
export function machinesAtPeak(graph: ResourceGraph): number {
  return graph.tiers.reduce(
    (sum, { inputs }) => sum + (numberAt(inputs, 'scalingConfig', 'maxSize') ?? 0),
    0,
  );
}

/** The supposition that most lines of usage rest on, in words. */
export function loadInWords(graph: ResourceGraph): string {
  const millions = predictionsAtPeak(graph) / 1e6;
  return `${millions.toFixed(1)} million predictions of ${usage.predictionSeconds} s: every machine busy all month`;
}
