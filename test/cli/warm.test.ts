import { expect, test } from 'vitest';
import { envOf, mimeo } from './command.ts';
import { answer, problem, startServer } from './contract-server.ts';

const warmth = {
  model: 'ada/echo',
  version: 'a'.repeat(64),
  instances: 2,
  seconds: 600,
  until: '2026-11-21T09:40:00.000000Z',
  eta_seconds: { p50: 20, p90: 28 },
  cost: { sku: 'gpu-t4', micro_usd_per_second: 225, max_micro_usd: 270_000, billed: false },
};

test('says how long instances are kept, when they are ready and what that takes', async () => {
  const server = await startServer({
    'POST /models/ada/echo/warm': (_request, response) => answer(response, 202, warmth),
  });

  const words = ['warm', 'ada/echo', '--instances', '2', '--seconds', '600'];
  const ended = await mimeo(words, { env: envOf(server) });

  expect(ended).toMatchObject({ code: 0, stdout: '' });
  expect(ended.stderr.split('\n')).toEqual([
    '2 instances of ada/echo on gpu-t4 kept until 2026-11-21T09:40:00.000000Z.',
    'Ready in about 20 s (9 times of 10 within 28 s).',
    'That takes at most $0.27 of the platform; you are billed for runs only.',
    '',
  ]);
  expect(server.bodies('POST /models/ada/echo/warm')).toEqual([{ instances: 2, seconds: 600 }]);
});

test('--json prints the answer, and what is not said is left to the server', async () => {
  const server = await startServer({
    'POST /models/ada/echo/warm': (_request, response) =>
      answer(response, 202, { ...warmth, eta_seconds: null }),
  });

  const ended = await mimeo(['warm', 'ada/echo', '--json'], { env: envOf(server) });

  expect(JSON.parse(ended.stdout)).toEqual({ ...warmth, eta_seconds: null });
  expect(server.bodies('POST /models/ada/echo/warm')).toEqual([{}]);
});

test('--stop lets go of them', async () => {
  const server = await startServer({
    'DELETE /models/ada/echo/warm': (_request, response) => void response.writeHead(204).end(),
  });

  const ended = await mimeo(['warm', 'ada/echo', '--stop'], { env: envOf(server) });

  expect(ended).toMatchObject({ code: 0, stderr: expect.stringContaining('is kept warm no more') });
});

test('what the server refuses is told as it says it', async () => {
  const detail = '- instances: ada/echo has at most 2; see scaling.max of PATCH /v1/models/ada/echo';
  const server = await startServer({
    'POST /models/ada/echo/warm': (_request, response) => problem(response, 422, 'invalid_body', detail),
  });

  const ended = await mimeo(['warm', 'ada/echo', '--instances', '3'], { env: envOf(server) });

  expect(ended).toMatchObject({ code: 1, stderr: expect.stringContaining(detail) });
});

test.each(['-1', '1.5', 'many', ''])('--instances %j is refused before anything is sent', async (text) => {
  const ended = await mimeo(['warm', 'ada/echo', `--instances=${text}`]);

  expect(ended).toMatchObject({ code: 2, stderr: expect.stringContaining('is not a whole number') });
});
