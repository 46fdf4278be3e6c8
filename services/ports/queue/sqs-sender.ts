import { SendMessageBatchCommand, type SQSClient } from '@aws-sdk/client-sqs';

/** SQS: messages of one batch. */
const maxBatch = 10;

/** Sends messages to one queue that a Lambda function reads. */
export interface SqsSender {
  /** @throws Error where one of them was not taken; others may have been */
  send(
    messages: readonly {
      readonly body: string;
      readonly group: string;
      /** 0 to 900. */
      readonly delaySeconds: number;
    }[],
  ): Promise<void>;
}

/** @param queueUrl a standard queue's; a message's group makes it a fair one */
export function createSqsSender({ client, queueUrl }: { client: SQSClient; queueUrl: string }): SqsSender {
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
