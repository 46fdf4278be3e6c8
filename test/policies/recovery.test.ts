import { asyncFunctionsDeadLetter } from '../../policies/recovery/async-functions-dead-letter.ts';
import { deletionProtection } from '../../policies/recovery/deletion-protection.ts';
import { eventSourcesBounded } from '../../policies/recovery/event-sources-bounded.ts';
import { queuesDeadLetter } from '../../policies/recovery/queues-dead-letter.ts';
import { severalTasks } from '../../policies/recovery/several-tasks.ts';
import { severalZones } from '../../policies/recovery/several-zones.ts';
import { tableBackups } from '../../policies/recovery/table-backups.ts';
import { targetsDeadLetter } from '../../policies/recovery/targets-dead-letter.ts';
import {
  balancer,
  bucket,
  cluster,
  fargate,
  lambda,
  queue,
  resource,
  table,
  testCases,
  unknownNumber,
  unknownText,
} from './fixtures.ts';

testCases({
  policy: queuesDeadLetter,
  passes: {
    'a queue with one, whose ARN a preview does not know': resource(queue, { redrivePolicy: unknownText }),
    'a dead-letter queue': resource(
      queue,
      { messageRetentionSeconds: 1_209_600 },
      { name: 'jobs-dead-letter' },
    ),
    'one by a shorter name': resource(
      queue,
      { messageRetentionSeconds: 1_209_600 },
      { name: 'webhooks-queue-dead' },
    ),
  },
  fails: {
    'a name that only sounds so': [
      resource(queue, {}, { name: 'deadlines' }),
      /deadlines has no dead-letter/,
    ],
    none: [resource(queue, {}, { name: 'waiting' }), /waiting has no dead-letter queue/],
    'one that forgets in four days': [
      resource(queue, {}, { name: 'jobs-dead-letter' }),
      /messageRetentionSeconds/,
    ],
  },
});
const mapping = (inputs: Record<string, unknown>) =>
  resource('aws:lambda/eventSourceMapping:EventSourceMapping', {
    functionResponseTypes: ['ReportBatchItemFailures'],
    ...inputs,
  });
const stream = {
  startingPosition: 'TRIM_HORIZON',
  maximumRetryAttempts: 10,
  maximumRecordAgeInSeconds: 86_400,
  bisectBatchOnFunctionError: true,
  destinationConfig: { onFailure: { destinationArn: unknownText } },
};
testCases({
  policy: eventSourcesBounded,
  passes: { 'a bounded stream': mapping(stream), 'a queue': mapping({}) },
  fails: {
    'a whole batch again': [mapping({ functionResponseTypes: [] }), /ReportBatchItemFailures/],
    'events that are dropped': [
      mapping({ ...stream, destinationConfig: undefined }),
      /destinationConfig.onFailure/,
    ],
    'retries for ever': [mapping({ ...stream, maximumRetryAttempts: -1 }), /set maximumRetryAttempts/],
    'an age that a preview does not know': [
      mapping({ ...stream, maximumRecordAgeInSeconds: unknownNumber }),
      /set maximumRecordAge/,
    ],
    'no bisection': [mapping({ ...stream, bisectBatchOnFunctionError: false }), /bisect/],
  },
});
const rule = 'aws:cloudwatch/eventTarget:EventTarget';
const schedule = 'aws:scheduler/schedule:Schedule';
testCases({
  policy: targetsDeadLetter,
  passes: {
    'a rule with one': resource(rule, { deadLetterConfig: { arn: unknownText } }),
    'a schedule with one': resource(schedule, { target: { deadLetterConfig: { arn: unknownText } } }),
  },
  fails: {
    'a rule without': [resource(rule, {}), /set deadLetterConfig.arn/],
    'a schedule without': [
      resource(schedule, { target: { arn: unknownText } }),
      /set target.deadLetterConfig.arn/,
    ],
  },
});
const called = resource(lambda, {}, { name: 'sweeper' });
const kept = resource(lambda, { deadLetterConfig: { targetArn: unknownText } }, { name: 'registrar' });
const calls = (one: typeof called) => resource(rule, { arn: unknownText }, { name: 'target', needs: [one] });
const config = (destinationConfig: unknown) =>
  resource(
    'aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig',
    { functionName: unknownText, destinationConfig },
    { name: 'config', needs: [called] },
  );
testCases({
  policy: asyncFunctionsDeadLetter,
  passes: {
    'a function with a dead-letter queue': [kept, calls(kept)],
    'one with a destination': [called, calls(called), config({ onFailure: { destination: unknownText } })],
    'one that somebody waits for': called,
  },
  fails: {
    'one without': [[called, calls(called)], /sweeper is called by a rule or schedule/],
    'one whose destination is for successes': [
      [called, calls(called), config({ onSuccess: { destination: unknownText } })],
      /sweeper/,
    ],
    'one called by its ARN': [
      [
        resource(lambda, { arn: 'arn:aws:lambda:a' }),
        resource(schedule, { target: { arn: 'arn:aws:lambda:a' } }, { name: 's' }),
      ],
      /thing is called/,
    ],
  },
});
const prod = { in: 'prod' };
testCases({
  policy: deletionProtection,
  passes: {
    'none in dev': resource(table, {}),
    'a table that refuses': resource(table, { deletionProtectionEnabled: true }, prod),
    'a bucket that is kept while full': resource(bucket, {}, prod),
  },
  fails: {
    'a table': [resource(table, {}, prod), /set deletionProtectionEnabled to true/],
    'a cluster': [resource(cluster, { deletionProtection: false }, prod), /deletionProtection/],
    'a balancer of awsx': [resource(balancer, {}, prod), /enableDeletionProtection/],
    'a bucket that goes with its files': [resource(bucket, { forceDestroy: true }, prod), /forceDestroy/],
  },
});
testCases({
  policy: tableBackups,
  passes: {
    'none in dev': resource(table, {}),
    'any second': resource(table, { pointInTimeRecovery: { enabled: true } }, prod),
  },
  fails: { 'none in prod': [resource(table, {}, prod), /pointInTimeRecovery.enabled/] },
});
const vpc = (inputs: Record<string, unknown>, environment = 'prod') =>
  resource('awsx:ec2:Vpc', inputs, { name: 'vpc', in: environment });
const parent = vpc({ numberOfAvailabilityZones: 2 });
const subnet = (availabilityZone: string, name: string) =>
  resource('aws:ec2/subnet:Subnet', { availabilityZone }, { name, parent, in: 'prod' });
testCases({
  policy: severalZones,
  passes: {
    'one in dev': vpc({ numberOfAvailabilityZones: 1 }, 'dev'),
    'three by name': vpc({ availabilityZoneNames: ['a', 'b', 'c'] }),
    'subnets in two': [parent, subnet('us-east-1a', 'a'), subnet('us-east-1b', 'b')],
  },
  fails: {
    'one in prod': [vpc({ numberOfAvailabilityZones: 1 }), /one availability zone/],
    'subnets in one': [
      [parent, subnet('us-east-1a', 'a'), subnet('us-east-1a', 'b')],
      /one availability zone/,
    ],
  },
});
const target = (minCapacity: unknown) =>
  resource('aws:appautoscaling/target:Target', { serviceNamespace: 'ecs', minCapacity }, prod);
testCases({
  policy: severalTasks,
  passes: {
    'one in dev': resource(fargate, {}),
    'two in prod': resource(fargate, { desiredCount: 2 }, prod),
    'a target of two': target(2),
    'a target of something else': resource(
      'aws:appautoscaling/target:Target',
      { serviceNamespace: 'dynamodb', minCapacity: 1 },
      prod,
    ),
  },
  fails: {
    'one in prod': [
      resource(fargate, { desiredCount: 1 }, prod),
      /fewer tasks than the 2 of prod; set desiredCount/,
    ],
    'a target of one': [target(1), /set minCapacity/],
    'what a preview does not know': [target(unknownNumber), /literal/],
  },
});
