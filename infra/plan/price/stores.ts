import { hoursPerMonth } from '../../aws/prices.ts';
import type { RecordedResource } from '../record.ts';
import type { Charge, Unpriced } from './cost-line.ts';
import type { ResourceGraph } from './graph.ts';
import { numberAt, textAt, valueAt } from './inputs.ts';
import { each, monthly, type Pricers, priceOf } from './pricer.ts';
import { loadInWords, predictionsAtPeak, usage } from './usage.ts';

const kbPerGb = 1e6;
const million = 1e6;
const minutesPerMonth = hoursPerMonth * 60;

/** What is kept: rows, messages, files, events, secrets, images. Free tiers of an account are not taken off. */
export const storePricers: Pricers = {
  'aws:dynamodb/table:Table': table,
  'aws:sqs/queue:Queue': (queue, graph) => {
    if (!graph.bearsUsage(queue, 'jobs')) return [];
    const requests = predictionsAtPeak(graph) * usage.queueRequests;
    const price = each(priceOf(graph, 'sqs', 'standard_million'), million);
    return [used("requests to jobs' queues", 'request', price, requests, loadInWords(graph))];
  },
  'aws:s3/bucket:Bucket': bucket,
  'aws:s3/bucketV2:BucketV2': bucket,
  'aws:cloudfront/distribution:Distribution': (distribution, graph) => {
    if (!graph.bearsUsage(distribution, 'outputs')) return [];
    const files = predictionsAtPeak(graph);
    const bytes = priceOf(graph, 'cloudfront', 'internet_out_gb_first_10tb_us_eu');
    const requests = each(priceOf(graph, 'cloudfront', 'https_requests_10k'), 10_000);
    return [
      used('files fetched by clients', 'GB', bytes, (files * usage.fileMb) / 1000, fileInWords(graph)),
      used('requests for files', 'request', requests, files, fileInWords(graph)),
    ];
  },
  'aws:elasticache/serverlessCache:ServerlessCache': cache,
  'kubernetes:core/v1:PersistentVolumeClaim': () => [{ unpriced: 'the cluster makes a disk for it' }],
  'aws:secretsmanager/secret:Secret': (_secret, graph) => [
    monthly('secret', 'secret', priceOf(graph, 'secrets_manager', 'secret_month')),
  ],
  'aws:kms/key:Key': (_key, graph) => [monthly('key', 'key', priceOf(graph, 'kms', 'key_month'))],
  'aws:ecr/repositoryCreationTemplate:RepositoryCreationTemplate': (template, graph) => {
    if (!graph.bearsUsage(template, 'registry')) return [];
    const price = priceOf(graph, 'ecr', 'storage_gb_month');
    return [used("models' images", 'GB', price, usage.imagesGb, `${usage.imagesGb} GB of images`)];
  },
};

function used(what: string, unit: string, price: Charge['price'], peak: number, assumption: string): Charge {
  return { what, unit, price, idle: 0, peak, assumption };
}

function fileInWords(graph: ResourceGraph): string {
  return `${loadInWords(graph)}; each puts out a file of ${usage.fileMb} MB, which is fetched once`;
}

function table(one: RecordedResource, graph: ResourceGraph): readonly (Charge | Unpriced)[] {
  const unpriced: Unpriced[] = [];
  if (textAt(one.inputs, 'billingMode') !== 'PAY_PER_REQUEST') {
    unpriced.push({ unpriced: 'its throughput is provisioned, which costs by the hour' });
  }
  if (valueAt(one.inputs, 'warmThroughput') !== undefined) {
    unpriced.push({ unpriced: 'its throughput is warmed up, which costs once' });
  }
  if (!graph.bearsUsage(one, 'table')) return unpriced;
  const load = loadInWords(graph);
  const predictions = predictionsAtPeak(graph);
  const keptGb = (predictions * usage.keptKb) / kbPerGb;
  const idleReads = minutesPerMonth * usage.idleReadUnitsPerMinute;
  const keeps = `${load}, of which ${usage.keptKb} KB each are kept`;
  const charges: Charge[] = [
    used(
      'writes',
      'write unit',
      each(priceOf(graph, 'dynamodb', 'write_million_wru'), million),
      predictions * usage.writeUnits,
      `${load}, ${usage.writeUnits} write units each`,
    ),
    {
      what: 'reads',
      unit: 'read unit',
      price: each(priceOf(graph, 'dynamodb', 'read_million_rru'), million),
      idle: idleReads,
      peak: idleReads + predictions * usage.readUnits,
      assumption: `${usage.idleReadUnitsPerMinute} read units a minute for sweeps; ${load}, ${usage.readUnits} each`,
    },
    used('rows', 'GB', priceOf(graph, 'dynamodb', 'storage_gb_month'), keptGb, keeps),
  ];
  if (valueAt(one.inputs, 'pointInTimeRecovery', 'enabled') === true) {
    charges.push(used('backups', 'GB', priceOf(graph, 'dynamodb', 'pitr_gb_month'), keptGb, keeps));
  }
  return [...charges, ...unpriced];
}

function bucket(one: RecordedResource, graph: ResourceGraph): readonly Charge[] {
  if (!graph.bearsUsage(one, 'outputs')) return [];
  const files = predictionsAtPeak(graph);
  const words = fileInWords(graph);
  const heldGb = ((files / hoursPerMonth) * usage.fileHours * usage.fileMb) / 1000;
  const hasCloudFront = graph.ofType('aws:cloudfront/distribution:Distribution').length > 0;
  const charges = [
    used('files written', 'request', each(priceOf(graph, 's3', 'put_1000'), 1000), files, words),
    used('files read', 'request', each(priceOf(graph, 's3', 'get_1000'), 1000), files, words),
    used(
      'files kept',
      'GB',
      priceOf(graph, 's3', 'standard_gb_month'),
      heldGb,
      `${words} and kept for ${usage.fileHours} h`,
    ),
  ];
  if (hasCloudFront) return charges;
  const out = priceOf(graph, 'data_transfer', 'internet_out_gb_first_10tb');
  return [...charges, used('files fetched by clients', 'GB', out, (files * usage.fileMb) / 1000, words)];
}

function cache(one: RecordedResource, graph: ResourceGraph): readonly Charge[] {
  const limits = valueAt(one.inputs, 'cacheUsageLimits');
  const floorGb = priceOf(graph, 'elasticache_serverless_valkey', 'minimum_metered_gb').usd;
  const leastGb = Math.max(floorGb, numberAt(limits, 'dataStorage', 'minimum') ?? 0);
  const mostGb = numberAt(limits, 'dataStorage', 'maximum') ?? leastGb;
  const leastUnits = numberAt(limits, 'ecpuPerSeconds', 0, 'minimum') ?? 0;
  const mostUnits = numberAt(limits, 'ecpuPerSeconds', 0, 'maximum') ?? leastUnits;
  const seconds = hoursPerMonth * 3600;
  const isLimit = 'as much as its limit allows';
  return [
    {
      what: 'Valkey, memory',
      unit: 'GB-hour',
      price: priceOf(graph, 'elasticache_serverless_valkey', 'gb_hour'),
      idle: leastGb * hoursPerMonth,
      peak: Math.max(leastGb, mostGb) * hoursPerMonth,
      assumption: `${leastGb} GB at least are charged; at peak ${isLimit}`,
    },
    {
      what: 'Valkey, commands',
      unit: 'ECPU',
      price: each(priceOf(graph, 'elasticache_serverless_valkey', 'ecpu_million'), million),
      idle: leastUnits * seconds,
      peak: Math.max(leastUnits, mostUnits) * seconds,
      assumption: isLimit,
    },
  ];
}
