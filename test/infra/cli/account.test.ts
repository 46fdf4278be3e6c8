import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { text } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { lookAtAccount } from '../../../infra/cli/account.ts';
import { type EmulatedAws, startEmulatedAws } from '../../support/emulated-aws.ts';

let aws: EmulatedAws;
let quotas: Server;

/** Service Quotas, which the emulated cloud does not have for EC2: JSON 1.1, an action by the header x-amz-target. */
const known: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  GetServiceQuota: { 'L-DB2E81BA': 64, 'L-B99A9384': 10 },
  GetAWSDefaultServiceQuota: { 'L-417A185B': 5 },
};

function serviceOf(code: string): string {
  return code === 'L-B99A9384' ? 'lambda' : 'ec2';
}

beforeAll(async () => {
  aws = await startEmulatedAws();
  quotas = createServer(async (request, response) => {
    const action = String(request.headers['x-amz-target']).split('.').at(-1) ?? '';
    const { ServiceCode, QuotaCode } = z
      .object({ ServiceCode: z.string(), QuotaCode: z.string() })
      .parse(JSON.parse(await text(request)));
    const Value = ServiceCode === serviceOf(QuotaCode) ? known[action]?.[QuotaCode] : undefined;
    const isDenied = QuotaCode === 'L-DENIED';
    const body = isDenied
      ? { __type: 'AccessDeniedException', Message: 'not authorized' }
      : Value === undefined
        ? { __type: 'NoSuchResourceException', Message: 'no such quota' }
        : { Quota: { QuotaCode, Value } };
    response.writeHead('__type' in body ? 400 : 200, { 'content-type': 'application/x-amz-json-1.1' });
    response.end(JSON.stringify(body));
  }).listen(0, '127.0.0.1');
  await once(quotas, 'listening');
});
afterAll(async () => {
  quotas?.close();
  await aws?.stop();
});
afterEach(() => {
  vi.unstubAllEnvs();
});

function ec2(code: string) {
  return { service: 'ec2', code };
}

function useCloud(): void {
  const { port } = z.object({ port: z.int() }).parse(quotas.address());
  vi.stubEnv('AWS_ENDPOINT_URL', aws.client.endpoint);
  vi.stubEnv('AWS_ENDPOINT_URL_SERVICE_QUOTAS', `http://127.0.0.1:${port}`);
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'test');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'test');
}

it('says who asks, and reads limits, the default ones where no other was ever asked for', async () => {
  useCloud();

  const { identity, quotas: values } = await lookAtAccount('us-east-1', [
    ec2('L-DB2E81BA'),
    ec2('L-417A185B'),
  ]);

  expect(identity).toMatchObject({ account: '123456789012' });
  expect(values).toEqual({ 'L-DB2E81BA': 64, 'L-417A185B': 5 });
});

it('reads a limit of the service that it belongs to', async () => {
  useCloud();

  const lambda = { service: 'lambda', code: 'L-B99A9384' };
  const { quotas: values } = await lookAtAccount('us-east-1', [lambda, ec2('L-B99A9384')]);

  expect(values).toEqual({ 'L-B99A9384': { problem: expect.stringContaining('no such quota') } });
  expect((await lookAtAccount('us-east-1', [lambda])).quotas).toEqual({ 'L-B99A9384': 10 });
});

it('says why a limit cannot be read', async () => {
  useCloud();

  const { quotas: values } = await lookAtAccount('us-east-1', [ec2('L-DENIED')]);

  expect(values).toEqual({ 'L-DENIED': { problem: 'AccessDeniedException: not authorized' } });
});

it('says why AWS takes nobody', async () => {
  useCloud();
  vi.stubEnv('AWS_ENDPOINT_URL', 'http://127.0.0.1:9');

  const { identity, quotas: values } = await lookAtAccount('us-east-1', [ec2('L-DB2E81BA')]);

  expect(identity).toMatchObject({ problem: expect.stringContaining('ECONNREFUSED') });
  expect(values).toEqual({});
});
