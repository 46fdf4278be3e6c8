import { z } from 'zod';
import type { PushedImage } from './app.ts';

/** https://docs.aws.amazon.com/AmazonECR/latest/userguide/ecr-eventbridge.html */
const pushEventSchema = z.object({
  source: z.literal('aws.ecr'),
  'detail-type': z.literal('ECR Image Action'),
  time: z.iso.datetime(),
  detail: z.object({
    'action-type': z.literal('PUSH'),
    result: z.literal('SUCCESS'),
    'repository-name': z.string(),
    'image-digest': z.string().regex(/^sha256:[0-9a-f]{64}$/),
    'image-tag': z.string().max(128).nullish(),
  }),
});

/** The push that an event of EventBridge tells of; undefined where it tells of something else. */
export function readPushEvent(event: unknown): PushedImage | undefined {
  const parsed = pushEventSchema.safeParse(event);
  if (!parsed.success) return undefined;
  const { time, detail } = parsed.data;
  return {
    repository: detail['repository-name'],
    digest: detail['image-digest'],
    tag: detail['image-tag'] || null,
    pushedAt: Date.parse(time),
  };
}
