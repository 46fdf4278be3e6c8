import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import type {
  DynamoDBBatchResponse,
  DynamoDBRecord,
  DynamoDBStreamEvent,
  AttributeValue as LambdaAttribute,
} from 'aws-lambda';
import { type Attributes, decodeItem, decodeKey } from './dynamodb-items.ts';
import type { Change } from './port.ts';

/** The changes that a stream of new images hands to a Lambda function, in order. Expiry comes as a deletion. */
export function changesOf(event: DynamoDBStreamEvent): Change[] {
  return event.Records.map(changeOf);
}

function changeOf({ dynamodb }: DynamoDBRecord): Change {
  const image = dynamodb?.NewImage;
  return {
    id: sequenceNumberOf(dynamodb),
    key: decodeKey(toAttributes(dynamodb?.Keys ?? {})),
    before: undefined,
    after: image && decodeItem(toAttributes(image)),
  };
}

/** As the SDK gives them: an event is JSON, in which bytes are base64. */
function toAttributes(image: Readonly<Record<string, LambdaAttribute>>): Attributes {
  return Object.fromEntries(
    Object.entries(image).map(([name, value]) => [
      name,
      value.B === undefined ? (value as AttributeValue) : { B: Buffer.from(value.B, 'base64') },
    ]),
  );
}

function sequenceNumberOf(dynamodb: DynamoDBRecord['dynamodb']): string {
  if (dynamodb?.SequenceNumber === undefined) throw new Error('A record of a stream has no sequence number');
  return dynamodb.SequenceNumber;
}

/** How long halves are tried, where it is not a change that is to blame but the table that is not to be had. */
const patienceMs = 20_000;

/**
 * Hands the changes of an event to an idempotent handler that does not depend on their order, all at once. Where that
 * fails, halves are tried by themselves down to single changes: one that cannot be handled holds up no other.
 * @param onFailure told of each change that could not be handled
 * @param now milliseconds, of any beginning
 * @returns `ReportBatchItemFailures`: from where on the stream is to hand changes out again
 */
export async function handleStream(
  event: DynamoDBStreamEvent,
  handle: (changes: readonly Change[]) => Promise<void>,
  onFailure: (change: Change, error: unknown) => void,
  now: () => number = () => performance.now(),
): Promise<DynamoDBBatchResponse> {
  const endsAt = now() + patienceMs;
  const failed = await failuresOf(changesOf(event), { handle, onFailure, isTimeUp: () => now() >= endsAt });
  // Lambda goes on from the lowest of them; the others of the batch are handled twice, which changes nothing.
  return { batchItemFailures: failed.map(({ id }) => ({ itemIdentifier: id })) };
}

interface Attempt {
  readonly handle: (changes: readonly Change[]) => Promise<void>;
  readonly onFailure: (change: Change, error: unknown) => void;
  readonly isTimeUp: () => boolean;
}

async function failuresOf(changes: readonly Change[], attempt: Attempt): Promise<readonly Change[]> {
  const [first] = changes;
  if (!first) return [];
  if (attempt.isTimeUp()) return [first];
  try {
    await attempt.handle(changes);
    return [];
  } catch (error) {
    if (changes.length === 1 || attempt.isTimeUp()) {
      attempt.onFailure(first, error);
      return [first];
    }
  }
  const half = Math.ceil(changes.length / 2);
  return [
    ...(await failuresOf(changes.slice(0, half), attempt)),
    ...(await failuresOf(changes.slice(half), attempt)),
  ];
}
