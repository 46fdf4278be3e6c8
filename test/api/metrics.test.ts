import { afterEach, describe, expect, it } from 'vitest';
import { openApi, type TestApi } from '../support/api.ts';

let test: TestApi;
afterEach(async () => test?.close());

async function scrape(headers: Record<string, string> = {}): Promise<Response> {
  return await test.api.fetch(new Request('http://127.0.0.1:1/metrics', { headers }));
}

/** A request that is counted, as a server's are. */
async function send(method: string, path: string): Promise<Response> {
  const headers = { authorization: `Bearer ${test.token}` };
  return await test.api.fetch(new Request(`http://127.0.0.1:1${path}`, { method, headers }));
}

describe('GET /metrics', () => {
  it('counts requests by route and status, whatever paths are asked for', async () => {
    test = await openApi(undefined, { openMetrics: true });
    for (const id of ['a', 'b', 'c']) await send('GET', `/v1/predictions/${id}?x=/y`);
    await send('GET', '/v1/account');
    for (const path of ['/v1/webhooks/deliveries/x', '/v1/pools', '/v1/files/x/download', '/v1/files/'])
      await send('GET', path);
    for (let at = 0; at < 50; at += 1) await send('GET', `/made/up/${at}`);

    const response = await scrape();
    expect(response.headers.get('content-type')).toContain('version=0.0.4');
    const text = await response.text();
    expect(text).toContain(
      'mimeo_requests_total{method="GET",route="/v1/predictions/{id}",status="404"} 3\n',
    );
    expect(text).toContain('mimeo_requests_total{method="GET",route="/v1/account",status="200"} 1\n');
    expect(text).toContain('mimeo_requests_total{method="GET",route="other",status="404"} 51\n');
    for (const route of ['/v1/webhooks/deliveries/{id}', '/v1/pools', '/v1/files/{id}/download'])
      expect(text).toContain(`route="${route}"`);
    expect(text).not.toContain('route="/v1/files/{id}"');
    for (const line of text.trimEnd().split('\n'))
      expect(line).toMatch(/^(# (HELP|TYPE) mimeo_\w+ .+|mimeo_\w+\{(\w+="[^"]*",?)+\} \d+)$/);
  });

  it('tells what waits, and how predictions ended', async () => {
    test = await openApi(undefined, { openMetrics: true });
    await test.addModel({ name: 'echo' });
    const path = '/v1/models/local/echo/predictions';
    await test.call('POST', path, { input: {} });
    const { id } = (await (await test.call('POST', path, { input: {} })).json()) as { id: string };
    await test.call('POST', `/v1/predictions/${id}/cancel`);

    const text = await (await scrape()).text();
    expect(text).toContain('mimeo_jobs_queued{hardware="cpu"} 1\n');
    expect(text).toContain('mimeo_jobs_ended_total{kind="prediction",status="canceled",code="aborted"} 1\n');
  });

  it('asks for a token where others may reach it', async () => {
    test = await openApi();

    expect((await scrape()).status).toBe(401);
    expect((await scrape({ authorization: `Bearer ${test.token}` })).status).toBe(200);
  });
});

describe('CORS', () => {
  const origin = 'https://app.example.com';

  it('lets no page in unless its origin is configured', async () => {
    test = await openApi();

    const response = await test.call('GET', '/v1/account', undefined, { origin });
    expect(response.headers.get('access-control-allow-origin')).toBeNull();
  });

  it('answers preflights, and lets configured pages read answers and refusals', async () => {
    test = await openApi(undefined, { corsOrigins: [origin] });
    const preflight = await test.api.app.request('/v1/predictions', {
      method: 'OPTIONS',
      headers: { origin, 'access-control-request-method': 'POST' },
    });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get('access-control-allow-headers')).toContain('authorization');

    for (const path of ['/v1/account', '/v1/predictions/none', '/v1/nothing']) {
      const response = await test.call('GET', path, undefined, { origin });
      expect(response.headers.get('access-control-allow-origin')).toBe(origin);
    }
    const other = await test.call('GET', '/v1/account', undefined, { origin: 'https://evil.example' });
    expect(other.headers.get('access-control-allow-origin')).toBeNull();
  });
});
