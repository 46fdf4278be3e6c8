import { DeleteMessageCommand, ReceiveMessageCommand, type SQSClient } from '@aws-sdk/client-sqs';
import type { SQSBatchResponse, SQSEvent } from 'aws-lambda';

/** How often the emulated queue is asked for more. */
const pollMs = 50;

/**
 * Receives from a queue of the emulated cloud and calls a function as its event source mapping does: what the function
 * does not name as failed is deleted; the rest, or all where it throws, comes again when its visibility ends.
 * @returns a function that stops it, and resolves when nothing of it runs
 */
export function startQueueFeed(
  { client, queueUrl: QueueUrl }: { readonly client: SQSClient; readonly queueUrl: string },
  handler: (event: SQSEvent) => Promise<SQSBatchResponse>,
): () => Promise<void> {
  let isStopped = false;
  const run = async () => {
    while (!isStopped) {
      const { Messages = [] } = await client.send(
        new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: 10, VisibilityTimeout: 5 }),
      );
      if (Messages.length === 0) {
        await new Promise((resolve) => setTimeout(resolve, pollMs));
        continue;
      }
      const records = Messages.map(({ MessageId = '', ReceiptHandle = '', Body = '' }) => ({
        messageId: MessageId,
        receiptHandle: ReceiptHandle,
        body: Body,
        attributes: {
          ApproximateReceiveCount: '1',
          SentTimestamp: '0',
          SenderId: '',
          ApproximateFirstReceiveTimestamp: '0',
        },
        messageAttributes: {},
        md5OfBody: '',
        eventSource: 'aws:sqs',
        eventSourceARN: '',
        awsRegion: '',
      }));
      const answer = await handler({ Records: records }).catch(() => undefined);
      const failed = new Set(answer?.batchItemFailures.map(({ itemIdentifier }) => itemIdentifier));
      for (const { messageId, receiptHandle: ReceiptHandle } of answer ? records : []) {
        if (!failed.has(messageId)) await client.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle }));
      }
    }
  };
  const running = run();
  return async () => {
    isStopped = true;
    await running;
  };
}
