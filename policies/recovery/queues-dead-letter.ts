import { resourcePolicy } from '../policy.ts';
import { at, isGiven, notKnown, type PolicedResource, textAt } from '../resource.ts';

/** What a queue for dead letters is called. */
const deadLetterName = /(^|-)(dead|dlq)(-|$)/;
/** Days for which a person has time to look at it. */
const leastDays = 7;

export const queuesDeadLetter = resourcePolicy({
  name: 'queues-dead-letter',
  description:
    'A queue should hand over what fails again and again, to a queue that keeps it for a week or longer.',
  enforcement: 'mandatory',
  types: ['aws:sqs/queue:Queue'],
  check(queue) {
    if (isDeadLetterQueue(queue)) return mistakesOfDeadLetterQueue(queue);
    if (isGiven(queue.props, 'redrivePolicy')) return [];
    return [
      'has no dead-letter queue, so that a message that always fails comes back for ever; set redrivePolicy',
    ];
  },
});

function isDeadLetterQueue({ name, props }: PolicedResource): boolean {
  const called = textAt(props, 'name') ?? '';
  return deadLetterName.test(name) || deadLetterName.test(called) || isGiven(props, 'redriveAllowPolicy');
}

function mistakesOfDeadLetterQueue({ props }: PolicedResource): readonly string[] {
  const seconds = at(props, 'messageRetentionSeconds');
  if (seconds === notKnown || (typeof seconds === 'number' && seconds >= leastDays * 86_400)) return [];
  return [`keeps dead letters for less than ${leastDays} days; set messageRetentionSeconds to 1209600`];
}
