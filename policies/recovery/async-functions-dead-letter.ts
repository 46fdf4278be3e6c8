import { stackPolicy } from '../policy.ts';
import { isGiven, type StackResource, textAt } from '../resource.ts';

const functionType = 'aws:lambda/function:Function';
const callers: readonly string[] = [
  'aws:cloudwatch/eventTarget:EventTarget',
  'aws:scheduler/schedule:Schedule',
  'aws:s3/bucketNotification:BucketNotification',
  'aws:sns/topicSubscription:TopicSubscription',
];
const invokeConfigType = 'aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig';

export const asyncFunctionsDeadLetter = stackPolicy({
  name: 'async-functions-dead-letter',
  description: 'A function that is called without anybody waiting should keep the calls that fail.',
  enforcement: 'mandatory',
  check(resources) {
    const calling = resources.filter(({ type }) => callers.includes(type));
    const configured = resources.filter(
      ({ type, props }) =>
        type === invokeConfigType && isGiven(props, 'destinationConfig', 'onFailure', 'destination'),
    );
    return resources
      .filter(({ type }) => type === functionType)
      .filter((one) => calling.some((caller) => isOf(caller, one)))
      .filter((one) => !isGiven(one.props, 'deadLetterConfig', 'targetArn'))
      .filter((one) => !configured.some((config) => isOf(config, one)))
      .map((resource) => ({
        resource,
        message:
          'is called by a rule or schedule, whose own dead-letter queue has what did not reach it, not what failed in it; set deadLetterConfig, or a FunctionEventInvokeConfig with destinationConfig.onFailure',
      }));
  },
});

/** A preview does not know a function's ARN, but what depends on it. */
function isOf(caller: StackResource, one: StackResource): boolean {
  if (caller.dependencies.some(({ urn }) => urn === one.urn)) return true;
  const [arn, name] = [textAt(one.props, 'arn'), textAt(one.props, 'name')];
  const called = [
    textAt(caller.props, 'arn'),
    textAt(caller.props, 'target', 'arn'),
    textAt(caller.props, 'functionName'),
    textAt(caller.props, 'endpoint'),
  ];
  return called.some((value) => value !== undefined && (value === arn || value === name));
}
