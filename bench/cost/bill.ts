import { servicePrice } from '../../infra/aws/prices.ts';
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
  if (service === 'DynamoDB') return writeUnits * usd.writeUnit + readUnits * usd.readUnit;
  if (service === 'SQS') return requests * usd.sqsRequest;
  if (service === 'Lambda') return requests * (usd.lambdaRequest + lambdaGbSeconds * usd.lambdaGbSecond);
  if (service === 'Valkey') return requests * usd.valkeyUnit;
  if (operation?.startsWith('Delete')) return 0;
  const reads = operation === 'GetObject' || operation === 'HeadObject';
  return requests * (reads ? usd.s3Read : usd.s3Write);
}

function priceOf(service: string, item: string): number {
  return servicePrice(service, item, 'us-east-1').usd;
}

/** What AWS asks for one of each, on demand: the plan's prices, in which each names its source. */
const usd = {
  /** A write of 1 KB; in a transaction, two of them. */
  writeUnit: priceOf('dynamodb', 'write_million_wru') / 1e6,
  /** A consistent read of 4 KB. */
  readUnit: priceOf('dynamodb', 'read_million_rru') / 1e6,
  /** A request of up to 64 KiB. */
  sqsRequest: priceOf('sqs', 'standard_million') / 1e6,
  /** PUT, COPY, POST or LIST; a DELETE is free. */
  s3Write: priceOf('s3', 'put_1000') / 1000,
  /** GET or HEAD. */
  s3Read: priceOf('s3', 'get_1000') / 1000,
  lambdaRequest: priceOf('lambda', 'requests_million') / 1e6,
  lambdaGbSecond: priceOf('lambda', 'arm_gb_second'),
  /** A simple command of up to 1 KB. */
  valkeyUnit: priceOf('elasticache_serverless_valkey', 'ecpu_million') / 1e6,
};

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
