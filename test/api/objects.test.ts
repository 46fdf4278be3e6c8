import { readdirSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openApi, type TestApi } from '../support/api.ts';

let test: TestApi;
let url: string;
beforeAll(async () => {
  test = await openApi();
  await test.objects.put('local/page', Buffer.from('<script>'), { contentType: 'text/html' });
  url = await test.objects.signGet('local/page', { expiresSeconds: 60 });
});
afterAll(async () => test.close());

const openFiles = () => readdirSync('/proc/self/fd').length;

it('an object is read by its signed URL alone, and is no page of ours', async () => {
  const response = await test.api.app.request(url);

  expect(await response.text()).toBe('<script>');
  expect(Object.fromEntries(response.headers)).toMatchObject({
    'content-type': 'text/html',
    'content-security-policy': 'sandbox',
    'x-content-type-options': 'nosniff',
  });
});

it.skipIf(process.platform !== 'linux')('HEAD tells of an object and leaves no file open', async () => {
  const bytes = Buffer.alloc(1_000_000);
  await test.objects.put('local/large', bytes, { contentType: 'image/png' });
  const large = await test.objects.signGet('local/large', { expiresSeconds: 60 });
  const before = openFiles();
  for (let index = 0; index < 20; index += 1) {
    const response = await test.api.app.request(large, { method: 'HEAD' });
    expect([response.status, response.headers.get('content-length')]).toEqual([200, '1000000']);
  }

  await expect.poll(openFiles).toBeLessThan(before + 10);
});

it.each(['local/other', 'local%2Fpage/../other', '..%2Ftoken', 'local/page%00'])(
  'a signature of one object opens no other: %s',
  async (key) => {
    const response = await test.api.app.request(url.replace('local/page', key));

    expect([401, 403, 404]).toContain(response.status);
  },
);

it('a URL for reading stores nothing, and ends with its time', async () => {
  expect((await test.api.app.request(url, { method: 'PUT', body: 'x' })).status).toBe(403);
  test.clock.now += 61_000;

  expect((await test.api.app.request(url)).status).toBe(403);
});
