import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import type { SQSClient } from '@aws-sdk/client-sqs';
import type { RecordedResource } from '../../../infra/plan/record.ts';
import type { FilterPattern } from '../event-filter.ts';
import { startQueueFeed } from '../queue-feed.ts';
import { type StreamTarget, startStreamFeed } from '../stream-feed.ts';
import type { Place } from './aws-calls.ts';
import { type FunctionProcess, startFunction } from './function-process.ts';
import {
  type DeclaredFunction,
  type DeclaredSource,
  declaredFunctions,
  declaredSchedules,
  declaredSources,
} from './recorded-env.ts';

/** A minute's schedule comes sooner here. */
const scheduleEveryMs = 3000;

export interface BoxFunctions {
  /** What was thrown by functions, such as a call that their role does not allow. */
  readonly failures: readonly string[];
  invoke(service: string, event: unknown): Promise<unknown>;
  stop(): Promise<void>;
}

export interface FunctionsOptions {
  readonly resources: readonly RecordedResource[];
  /** Folder of the bundles. */
  readonly bundles: string;
  readonly place: Place;
  readonly endpoint: string;
  readonly dynamo: DynamoDBClient;
  readonly sqs: SQSClient;
  /** What Lambda adds to a function's own variables: region, credentials, and here the way to the emulated cloud. */
  readonly runtimeEnv: (declared: DeclaredFunction) => Promise<Readonly<Record<string, string>>>;
}

/** Starts all functions of a stack from their bundles, each called by the sources and schedules that the stack gives it. */
export async function startFunctions(options: FunctionsOptions): Promise<BoxFunctions> {
  const { resources, bundles } = options;
  const failures: string[] = [];
  const processes = new Map<
    string,
    { readonly declared: DeclaredFunction; readonly process: FunctionProcess }
  >();
  for (const declared of declaredFunctions(resources)) {
    const env = { ...declared.env, ...(await options.runtimeEnv(declared)) };
    const process = await startFunction(join(bundles, declared.service, 'main.mjs'), env, declared.timeoutMs);
    processes.set(declared.service, { declared, process });
  }
  const named = (functionName: string) => {
    const all = [...processes.values()];
    const found = all.find(
      ({ declared: { arn } }) => functionName === arn || arn.endsWith(`:${functionName}`),
    );
    if (!found) throw new Error(`No function is called ${functionName}`);
    return found.process;
  };
  const invoke = async (process: FunctionProcess, event: unknown) => {
    try {
      return await process.invoke(event);
    } catch (error) {
      failures.push(String(error));
      throw error;
    }
  };
  const stops = await startSources(options, (name, event) => invoke(named(name), event));
  const ending = new AbortController();
  const schedules = declaredSchedules(resources).map(async ({ functionArn, input }) => {
    while (!ending.signal.aborted) {
      await invoke(named(functionArn), input).catch(() => undefined);
      await pause(scheduleEveryMs, undefined, { signal: ending.signal }).catch(() => undefined);
    }
  });
  return {
    failures,
    invoke: async (service, event) => {
      const found = processes.get(service);
      if (!found) throw new Error(`There is no function of ${service}`);
      return await invoke(found.process, event);
    },
    async stop() {
      ending.abort();
      await Promise.all([...stops.map((stop) => stop()), ...schedules]);
      await Promise.all([...processes.values()].map(({ process }) => process.stop()));
    },
  };
}

/** A stream has two functions at most, each with its own place; a queue has one. */
async function startSources(
  options: FunctionsOptions,
  call: (functionName: string, event: unknown) => Promise<unknown>,
): Promise<readonly (() => Promise<void>)[]> {
  const { resources, endpoint, place, dynamo, sqs } = options;
  const sources = declaredSources(resources);
  const handlerOf =
    ({ functionName }: DeclaredSource) =>
    async (event: unknown) =>
      (await call(functionName, event)) as never;
  const streams = Map.groupBy(
    sources.filter(({ arn }) => arn.includes(':dynamodb:')),
    ({ arn }) => /table\/([^/]+)/.exec(arn)?.[1] ?? '',
  );
  const feeds = await Promise.all(
    [...streams].map(async ([tableName, those]) => {
      const targets: StreamTarget[] = those.map((source) => ({
        handler: handlerOf(source),
        filters: source.filters as readonly FilterPattern[],
        batchSize: source.batchSize,
      }));
      return await startStreamFeed({ client: dynamo, endpoint, tableName, region: place.region }, targets);
    }),
  );
  const queues = sources
    .filter(({ arn }) => arn.includes(':sqs:'))
    .map((source) => {
      const queueUrl = `${endpoint}/${place.account}/${source.arn.split(':').at(-1)}`;
      return startQueueFeed({ client: sqs, queueUrl }, handlerOf(source));
    });
  return [...feeds.map((feed) => async () => feed.stop()), ...queues];
}
