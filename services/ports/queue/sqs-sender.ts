import { SendMessageBatchCommand, type SQSClient } from '@aws-sdk/client-sqs';
import type { MessageSender } from './port.ts';

/** SQS: messages of one batch. */
const maxBatch = 10;

/** @param queueUrl a standard queue's; a message's group makes it a fair one */
export function createSqsSender({
  client,
  queueUrl,
}: {
  client: SQSClient;
  queueUrl: string;
}): MessageSender {
  return {
    async send(messages) {
      for (let start = 0; start < messages.length; start += maxBatch) {
        const some = messages.slice(start, start + maxBatch);
        const { Failed = [] } = await client.send(
          new SendMessageBatchCommand({
            QueueUrl: queueUrl,
            Entries: some.map(({ body, group, delaySeconds }, at) => ({
              Id: String(at),
              MessageBody: body,
              MessageGroupId: group,
              DelaySeconds: delaySeconds,
            })),
          }),
        );
        const [failed] = Failed;
        if (failed) throw new Error(`SQS did not take ${Failed.length} messages: ${failed.Code}`);
      }
    },
  };
}
