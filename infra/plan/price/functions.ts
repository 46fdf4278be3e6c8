import { hoursPerMonth } from '../../aws/prices.ts';
import type { RecordedResource } from '../record.ts';
import type { Charge } from './cost-line.ts';
import type { ResourceGraph } from './graph.ts';
import { numberAt, textAt } from './inputs.ts';
import { each, type Pricers, priceOf } from './pricer.ts';
import { loadInWords, predictionsAtPeak, usage } from './usage.ts';

const million = 1e6;
/** MB of a function that says nothing. Source: Lambda API, CreateFunction, MemorySize. */
const usualMemoryMb = 128;
/** Seconds that metering works on a batch of ends. */
const batchSeconds = 0.1;
/** Requests a month with which Lambda asks one queue: five pollers, each for 20 s. Source: Lambda guide, "Using Lambda with SQS". */
const pollsPerMonth = (5 * hoursPerMonth * 3600) / 20;

/** Functions, and what calls them. */
export const functionPricers: Pricers = {
  'aws:lambda/function:Function': (one, graph) => {
    if (!graph.bearsUsage(one, 'metering')) return [];
    const calls = predictionsAtPeak(graph) * usage.functionCalls;
    const load = `${loadInWords(graph)}, whose ends are metered 25 at a time`;
    return ofCalls(
      'calls by the change feed',
      one,
      graph,
      { idle: 0, peak: calls, seconds: batchSeconds },
      load,
    );
  },
  'aws:scheduler/schedule:Schedule': (schedule, graph) => {
    const calls = callsPerMonth(textAt(schedule.inputs, 'scheduleExpression') ?? '');
    const called = graph.relatedOf(schedule, 'aws:lambda/function:Function')[0];
    const times = { idle: calls, peak: calls, seconds: usage.scheduledSeconds };
    return ofCalls('scheduled calls', called, graph, times, `${usage.scheduledSeconds} s each`);
  },
  'aws:lambda/eventSourceMapping:EventSourceMapping': (mapping, graph) => {
    const source = textAt(mapping.inputs, 'eventSourceArn') ?? '';
    if (!source.includes(':sqs:')) return [];
    const price = each(priceOf(graph, 'sqs', 'standard_million'), million);
    const assumption = 'five pollers of Lambda, each asking every 20 s';
    return [
      {
        what: 'looks at a queue',
        unit: 'request',
        price,
        idle: pollsPerMonth,
        peak: pollsPerMonth,
        assumption,
      },
    ];
  },
};

function ofCalls(
  what: string,
  called: RecordedResource | undefined,
  graph: ResourceGraph,
  times: { readonly idle: number; readonly peak: number; readonly seconds: number },
  assumption: string,
): readonly Charge[] {
  const { idle, peak, seconds } = times;
  const gb = (numberAt(called?.inputs, 'memorySize') ?? usualMemoryMb) / 1024;
  const kind = textAt(called?.inputs, 'architectures', 0) === 'arm64' ? 'arm' : 'x86';
  const request = each(priceOf(graph, 'lambda', 'requests_million'), million);
  const perCall = {
    ...request,
    usd: request.usd + gb * seconds * priceOf(graph, 'lambda', `${kind}_gb_second`).usd,
  };
  return [{ what, unit: 'call', price: perCall, idle, peak, assumption }];
}

/** How often a schedule calls in a month; a cron is taken for daily. */
function callsPerMonth(expression: string): number {
  const rate = /^rate\((\d+) (minute|hour|day)s?\)$/.exec(expression);
  const perUnit = { minute: 60, hour: 1, day: 1 / 24 }[rate?.[2] ?? 'day'] ?? 1 / 24;
  return (hoursPerMonth * perUnit) / Number(rate?.[1] ?? 1);
}
