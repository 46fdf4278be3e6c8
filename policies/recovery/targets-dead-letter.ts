import { resourcePolicy } from '../policy.ts';
import { isGiven } from '../resource.ts';

const scheduleType = 'aws:scheduler/schedule:Schedule';

export const targetsDeadLetter = resourcePolicy({
  name: 'targets-dead-letter',
  description: 'A rule or schedule should keep what it could not hand over.',
  enforcement: 'mandatory',
  types: ['aws:cloudwatch/eventTarget:EventTarget', scheduleType],
  check({ type, props }) {
    const path = type === scheduleType ? ['target', 'deadLetterConfig', 'arn'] : ['deadLetterConfig', 'arn'];
    return isGiven(props, ...path) ? [] : [`drops what it cannot hand over; set ${path.join('.')}`];
  },
});
