import { type Line, linesOf, perMillion, requestsOf, sum } from './bill.ts';
import {
  busyFor,
  deliverOnce,
  direct,
  endsInABatch,
  type LifeTallies,
  liveThrough,
  storesFile,
  streamsForAMinute,
} from './lives.ts';
import { type CountedPlatform, startCountedPlatform } from './platform.ts';

/** What is aimed at, USD per million predictions of 1 KB in and out, 2 s, `Prefer: wait`. */
export const targetUsd = 10;
const predictions = 4;

/** All USD per million. */
export interface CostSummary {
  readonly targetUsd: number;
  readonly plainUsd: number;
  readonly lines: readonly Line[];
  /** What one director asks for on behalf of one pool, by prediction, while one comes about every second. */
  readonly directorUsd: number;
  /** On top of a plain prediction: for a file put out, a webhook that arrives at once, a minute of tokens. */
  readonly surchargesUsd: {
    readonly file: number;
    readonly webhook: number;
    readonly streamedMinute: number;
  };
}

/** Counts what predictions ask of an emulated AWS, and adds up what AWS itself would charge for it. */
export async function measureCost(say: (line: string) => void): Promise<CostSummary> {
  say('Starting two processes of the api over an emulated cloud');
  const platform = await startCountedPlatform();
  try {
    say(`${predictions} predictions of 2 s, with a director beside them`);
    let plain: LifeTallies | undefined;
    const director = await direct(platform, async () => {
      plain = await liveThrough(platform, predictions, busyFor(2));
    });
    if (!plain) throw new Error('Nothing was measured');
    const lines = [
      ...linesOf(plain.run, predictions),
      ...linesOf(sum(plain.metering, plain.retention, requestsOf('Lambda Invoke metering', 1)), endsInABatch),
    ].sort((a, b) => b.usdPerMillion - a.usdPerMillion);
    say('One with a file, one with a webhook, one that streams for a minute');
    return {
      targetUsd,
      plainUsd: lines.reduce((total, { usdPerMillion }) => total + usdPerMillion, 0),
      lines,
      directorUsd: perMillion(director, predictions),
      surchargesUsd: await measureSurcharges(platform),
    };
  } finally {
    await platform.close();
  }
}

async function measureSurcharges(platform: CountedPlatform): Promise<CostSummary['surchargesUsd']> {
  const costOf = async (work: Parameters<typeof liveThrough>[2]) => {
    const { run, retention } = await liveThrough(platform, 1, work);
    return perMillion(sum(run, retention), 1);
  };
  const plain = await costOf(busyFor(0));
  const webhook = sum(
    await deliverOnce(platform),
    requestsOf('SQS SendMessage, ReceiveMessage, DeleteMessage', 3),
    requestsOf('Lambda Invoke webhooks', 2),
  );
  return {
    file: (await costOf(storesFile(platform))) - plain,
    webhook: perMillion(webhook, 1),
    streamedMinute: (await costOf(streamsForAMinute(platform))) - plain,
  };
}
