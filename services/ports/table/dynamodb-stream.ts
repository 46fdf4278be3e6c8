import type { DynamoDBBatchResponse, DynamoDBRecord, DynamoDBStreamEvent } from 'aws-lambda';
import { type Attributes, decodeItem, decodeKey } from './dynamodb-items.ts';
import type { Change } from './port.ts';

/** The changes that a stream of new images hands to a Lambda function, in order. Expiry comes as a deletion. */
export function changesOf(event: DynamoDBStreamEvent): Change[] {
  return event.Records.map(changeOf);
}

function changeOf({ dynamodb }: DynamoDBRecord): Change {
  const image = dynamodb?.NewImage as Attributes | undefined;
  return {
    id: sequenceNumberOf(dynamodb),
    key: decodeKey((dynamodb?.Keys ?? {}) as Attributes),
    before: undefined,
    after: image && decodeItem(image),
  };
}

function sequenceNumberOf(dynamodb: DynamoDBRecord['dynamodb']): string {
  if (dynamodb?.SequenceNumber === undefined) throw new Error('A record of a stream has no sequence number');
  return dynamodb.SequenceNumber;
}

/**
 * Hands the changes of an event to an idempotent handler that does not depend on their order, all at once. Where that
 * fails, halves are tried by themselves down to single changes: one that cannot be handled holds up no other.
 * @param onFailure told of each change that could not be handled
 * @returns `ReportBatchItemFailures`: from where on the stream is to hand changes out again
 */
export async function handleStream(
  event: DynamoDBStreamEvent,
  handle: (changes: readonly Change[]) => Promise<void>,
  onFailure: (change: Change, error: unknown) => void,
): Promise<DynamoDBBatchResponse> {
  const failed = await failuresOf(changesOf(event), handle, onFailure);
  // Lambda goes on from the lowest of them; the others of the batch are handled twice, which changes nothing.
  return { batchItemFailures: failed.map(({ id }) => ({ itemIdentifier: id })) };
}

async function failuresOf(
  changes: readonly Change[],
  handle: (changes: readonly Change[]) => Promise<void>,
  onFailure: (change: Change, error: unknown) => void,
): Promise<readonly Change[]> {
  const [first] = changes;
  if (!first) return [];
  try {
    await handle(changes);
    return [];
  } catch (error) {
    if (changes.length === 1) {
      onFailure(first, error);
      return [first];
    }
  }
  const half = Math.ceil(changes.length / 2);
  return [
    ...(await failuresOf(changes.slice(0, half), handle, onFailure)),
    ...(await failuresOf(changes.slice(half), handle, onFailure)),
  ];
}
