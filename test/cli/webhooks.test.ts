import { expect, test } from 'vitest';
import { envOf, mimeo } from './command.ts';
import { answer, startServer } from './contract-server.ts';

const delivery = {
  id: 'abc-completed-1',
  prediction: 'abc',
  event: 'completed',
  url: 'https://example.com/hook',
  state: 'dead',
  created_at: '2026-11-21T10:00:00.000Z',
  next_try_at: null,
  attempts: [
    {
      at: '2026-11-21T10:00:00.000Z',
      status: 500,
      ms: 12,
      error: 'The receiver answered 500',
      excerpt: 'oh no',
    },
  ],
};

test('lists, narrowed as asked', async () => {
  const server = await startServer({
    'GET /webhooks/deliveries?state=dead': (_request, response) =>
      answer(response, 200, { next: null, previous: null, results: [delivery] }),
  });

  const { code, stdout } = await mimeo(['webhooks', '--state', 'dead'], { env: envOf(server) });

  expect(code).toBe(0);
  expect(stdout).toContain('dead       completed  abc-completed-1  https://example.com/hook');
});

test('shows each attempt of one, and the whole of it as JSON', async () => {
  const server = await startServer({
    'GET /webhooks/deliveries/abc-completed-1': (_request, response) => answer(response, 200, delivery),
  });

  const shown = await mimeo(['webhooks', 'show', delivery.id], { env: envOf(server) });
  const json = await mimeo(['webhooks', 'show', delivery.id, '--json'], { env: envOf(server) });

  expect(shown.stdout).toContain('500  12 ms  The receiver answered 500  "oh no"');
  expect(JSON.parse(json.stdout)).toEqual(delivery);
});

test('has one sent again, or all since a time', async () => {
  const server = await startServer({
    'POST /webhooks/deliveries/abc-completed-1/redeliver': (_request, response) =>
      answer(response, 200, { ...delivery, state: 'pending' }),
    'POST /webhooks/deliveries/redeliver': (_request, response) => answer(response, 200, { redelivered: 3 }),
  });
  const before = Date.now();

  const one = await mimeo(['webhooks', 'redeliver', delivery.id], { env: envOf(server) });
  const all = await mimeo(['webhooks', 'redeliver', '--since', '2h'], { env: envOf(server) });

  expect(one.stdout).toContain('pending');
  expect(all.stdout).toBe('3 are sent again.\n');
  const [{ since }] = server.bodies('POST /webhooks/deliveries/redeliver') as [{ since: string }];
  expect(Math.abs(Date.parse(since) - (before - 7_200_000))).toBeLessThan(60_000);
});

test.each([
  [['webhooks', 'show', '--bogus'], /unknown option/],
  [['webhooks', 'redeliver'], /Name one delivery, or a time/],
  [['webhooks', 'redeliver', '--since', 'yesterday-ish'], /is no time/],
])('%j says how it is used', async (words, message) => {
  const ended = await mimeo(words, { env: envOf(await startServer()) });

  expect(ended.code).toBe(2);
  expect(ended.stderr).toMatch(message);
});
