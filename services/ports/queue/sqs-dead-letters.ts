import {
  ChangeMessageVisibilityBatchCommand,
  DeleteMessageCommand,
  GetQueueUrlCommand,
  ReceiveMessageCommand,
  type SQSClient,
} from '@aws-sdk/client-sqs';

/** SQS: messages of one batch. */
const maxBatch = 10;
/** Nobody else sees a message for this long while it is looked at. */
const heldSeconds = 120;

/** A message that nobody removed from its own queue. */
export interface DeadLetter {
  readonly id: string;
  readonly body: string;
  /** When it was sent first, epoch ms. */
  readonly sentAt: number;
  remove(): Promise<void>;
}

/**
 * Takes messages of a dead-letter queue to look at, at most `limit`, hands them to `work`, and puts back what `work`
 * has not removed.
 */
export async function withDeadLetters<T>(
  { client, arn, limit }: { readonly client: SQSClient; readonly arn: string; readonly limit: number },
  work: (letters: readonly DeadLetter[]) => Promise<T>,
): Promise<T> {
  const QueueUrl = await urlOf(client, arn);
  const held = new Map<string, DeadLetter & { readonly receipt: string }>();
  while (held.size < limit) {
    const { Messages = [] } = await client.send(
      new ReceiveMessageCommand({
        QueueUrl,
        MaxNumberOfMessages: Math.min(maxBatch, limit - held.size),
        VisibilityTimeout: heldSeconds,
        WaitTimeSeconds: 1,
        MessageSystemAttributeNames: ['SentTimestamp'],
      }),
    );
    if (Messages.length === 0) break;
    for (const { MessageId: id = '', Body: body = '', ReceiptHandle = '', Attributes } of Messages) {
      const remove = async () => {
        await client.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle }));
        held.delete(id);
      };
      held.set(id, {
        id,
        body,
        receipt: ReceiptHandle,
        sentAt: Number(Attributes?.SentTimestamp ?? 0),
        remove,
      });
    }
  }
  try {
    return await work([...held.values()].sort((a, b) => a.sentAt - b.sentAt));
  } finally {
    await putBack(
      client,
      QueueUrl,
      [...held.values()].map(({ receipt }) => receipt),
    );
  }
}

async function putBack(client: SQSClient, QueueUrl: string, receipts: readonly string[]): Promise<void> {
  for (let start = 0; start < receipts.length; start += maxBatch) {
    const Entries = receipts
      .slice(start, start + maxBatch)
      .map((ReceiptHandle, at) => ({ Id: String(at), ReceiptHandle, VisibilityTimeout: 0 }));
    await client.send(new ChangeMessageVisibilityBatchCommand({ QueueUrl, Entries }));
  }
}

/** @throws Error where the text is no queue's ARN */
async function urlOf(client: SQSClient, arn: string): Promise<string> {
  const [, QueueOwnerAWSAccountId, QueueName] = /^arn:[\w-]+:sqs:[\w-]+:(\d{12}):(\S+)$/.exec(arn) ?? [];
  if (QueueName === undefined)
    throw new Error(`"${arn}" is no queue's ARN, as in arn:aws:sqs:REGION:ACCOUNT:NAME`);
  const { QueueUrl = '' } = await client.send(new GetQueueUrlCommand({ QueueName, QueueOwnerAWSAccountId }));
  return QueueUrl;
}
