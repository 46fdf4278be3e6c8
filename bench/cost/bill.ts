import { awsPrices } from './aws-prices.ts';
import type { Tallies, Tally } from './count-requests.ts';

/** One line of what a number of predictions costs. */
export interface Line {
  readonly name: string;
  /** Of each prediction, on average. */
  readonly requests: number;
  readonly writeUnits: number;
  readonly readUnits: number;
  readonly usdPerMillion: number;
}

/** What one of `per` has cost, a line for each kind of request. */
export function linesOf(tallies: Tallies, per: number): Line[] {
  return Object.entries(tallies).map(([name, tally]) => {
    const of = (count: number) => count / per;
    return {
      name,
      requests: of(tally.requests),
      writeUnits: of(tally.writeUnits),
      readUnits: of(tally.readUnits),
      usdPerMillion: of(usdOf(name, tally)) * 1e6,
    };
  });
}

/** USD per million of `per`. */
export function perMillion(tallies: Tallies, per: number): number {
  return linesOf(tallies, per).reduce((sum, { usdPerMillion }) => sum + usdPerMillion, 0);
}

function usdOf(name: string, { requests, writeUnits, readUnits }: Tally): number {
  const [service, operation] = name.split(' ');
  if (service === 'DynamoDB')
    return writeUnits * awsPrices.writeUnit.usd + readUnits * awsPrices.readUnit.usd;
  if (service === 'SQS') return requests * awsPrices.sqsRequest.usd;
  if (service === 'Lambda')
    return requests * (awsPrices.lambdaRequest.usd + lambdaGbSeconds * awsPrices.lambdaArmGbSecond.usd);
  if (service === 'Valkey') return requests * awsPrices.valkeyUnit.usd;
  if (operation?.startsWith('Delete')) return 0;
  const reads = operation === 'GetObject' || operation === 'HeadObject';
  return requests * (reads ? awsPrices.s3Read.usd : awsPrices.s3Write.usd);
}

/** 256 MB for 100 ms. */
const lambdaGbSeconds = 0.25 * 0.1;

/** Both, kind by kind. */
export function sum(...all: readonly Tallies[]): Tallies {
  const total: Record<string, Tally> = {};
  for (const tallies of all) {
    for (const [name, tally] of Object.entries(tallies)) {
      const known = total[name] ?? { requests: 0, writeUnits: 0, readUnits: 0 };
      total[name] = {
        requests: known.requests + tally.requests,
        writeUnits: known.writeUnits + tally.writeUnits,
        readUnits: known.readUnits + tally.readUnits,
      };
    }
  }
  return total;
}

/** Requests that no client of ours makes, or none that is counted. */
export function requestsOf(name: string, requests: number): Tallies {
  return { [name]: { requests, writeUnits: 0, readUnits: 0 } };
}
