import { resourcePolicy } from '../policy.ts';
import { at, isGiven, type Properties, textsAt } from '../resource.ts';

export const eventSourcesBounded = resourcePolicy({
  name: 'event-sources-bounded',
  description:
    'An event that always fails should hold up its stream for a bounded time, and be kept somewhere.',
  enforcement: 'mandatory',
  types: ['aws:lambda/eventSourceMapping:EventSourceMapping'],
  check({ props }) {
    const messages: string[] = [];
    if (!textsAt(props, 'functionResponseTypes').includes('ReportBatchItemFailures')) {
      messages.push(
        'runs a whole batch again for one event; set functionResponseTypes to ["ReportBatchItemFailures"]',
      );
    }
    // Streams have a position to start from, queues have none.
    return isGiven(props, 'startingPosition') ? [...messages, ...streamMistakes(props)] : messages;
  },
});

function streamMistakes(props: Properties): readonly string[] {
  const messages: string[] = [];
  if (!isGiven(props, 'destinationConfig', 'onFailure', 'destinationArn')) {
    messages.push('drops events that fail; set destinationConfig.onFailure');
  }
  // -1, the default of both, is for ever.
  for (const bound of ['maximumRetryAttempts', 'maximumRecordAgeInSeconds']) {
    const value = at(props, bound);
    if (typeof value !== 'number' || value < 0) {
      messages.push(`may hold up its stream for a day; set ${bound} to a literal number`);
    }
  }
  if (at(props, 'bisectBatchOnFunctionError') !== true) {
    messages.push('gives up a whole batch for one event; set bisectBatchOnFunctionError to true');
  }
  return messages;
}
