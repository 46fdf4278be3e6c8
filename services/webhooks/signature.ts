import { createHmac } from 'node:crypto';

/**
 * The headers that tell a receiver that a body is from us, as https://www.standardwebhooks.com wants them.
 * @param secret `whsec_` and base64
 * @param nowMs epoch ms
 */
export function signedHeaders(
  secret: string,
  { id, body, nowMs }: { readonly id: string; readonly body: string; readonly nowMs: number },
): Record<string, string> {
  const timestamp = String(Math.floor(nowMs / 1000));
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
  const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64');
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': `v1,${signature}` };
}
