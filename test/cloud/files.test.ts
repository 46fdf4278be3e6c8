import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startCloud, type TestCloud } from '../support/cloud.ts';
import { type Distribution, readOrigin, startDistribution } from '../support/cloudfront.ts';
import { pythonClient } from '../support/python-client.ts';

const run = promisify(execFile);

let distribution: Distribution;
let cloud: TestCloud;

beforeAll(async () => {
  distribution = await startDistribution();
  // A model reads its inputs there, too.
  const directorEnv = { REQUESTS_CA_BUNDLE: distribution.certificate };
  cloud = await startCloud({ env: distribution.env, directorEnv });
  distribution.origin = `${cloud.aws.client.endpoint}/${cloud.env.MIMEO_BUCKET}`;
  for (const name of ['file-out', 'file-size']) await cloud.push(`test/models/${name}`);
});
afterAll(async () => {
  await cloud?.stop();
  await distribution?.close();
});

it('the Python client reads an output through CloudFront, to which its own token is of no account', async () => {
  const script = `
import io, json, replicate
output = replicate.run("local/file-out", input={"text": "zażółć"})
size = replicate.run("local/file-size", input={"file": io.BytesIO(b"abc")})
print(json.dumps({"kind": type(output).__name__, "text": output.read().decode(), "url": output.url, "size": size}))`;
  const { stdout } = await run(join(await pythonClient(), 'python'), ['-c', script], {
    env: {
      PATH: process.env.PATH,
      SSL_CERT_FILE: distribution.certificate,
      REPLICATE_BASE_URL: cloud.url,
      REPLICATE_API_TOKEN: cloud.token,
    },
  });
  const { url, ...read } = JSON.parse(stdout);

  expect(read).toEqual({ kind: 'FileOutput', text: 'zażółć', size: '3 616263' });
  expect(url).toMatch(/^https:\/\/127\.0\.0\.1:\d+\/.*[?&]Key-Pair-Id=/);
  expect(distribution.authorizations).toEqual([`Bearer ${cloud.token}`]);
});

it('an output file is stored by the runner at S3, not through the api, and its URL is signed anew each time', async () => {
  const created = await cloud.json(
    'POST',
    '/models/local/file-out/predictions',
    { input: { text: 'bytes' } },
    { prefer: 'wait' },
  );
  const { pathname } = new URL(created.output);
  const stored = await readOrigin(distribution.origin, pathname);

  expect(await stored.text()).toBe('bytes');
  expect(stored.headers.get('content-type')).toMatch(/^text\/plain/);
  const again = await cloud.json('GET', `/predictions/${created.id}`);
  expect(new URL(again.output).pathname).toBe(pathname);
  const said = cloud.apis.map((api) => api.said()).join('\n');
  expect(said).not.toContain(pathname);
});

it('an uploaded file is downloaded from CloudFront, not through the api, without the token that came along', async () => {
  const form = new FormData();
  form.append('content', new File(['abc'], 'a.txt', { type: 'text/plain' }));
  const authorization = `Bearer ${cloud.token}`;
  const sent = await fetch(`${cloud.url}/v1/files`, {
    method: 'POST',
    headers: { authorization },
    body: form,
  });
  const { urls } = (await sent.json()) as { urls: { get: string } };
  const answer = await fetch(urls.get, { headers: { authorization }, redirect: 'manual' });
  const head = await fetch(urls.get, { method: 'HEAD', redirect: 'manual' });
  const location = answer.headers.get('location') ?? '';

  expect([answer.status, answer.headers.get('cache-control')]).toEqual([302, 'no-store']);
  expect(location).toMatch(/^https:\/\/127\.0\.0\.1:\d+\/local\/.*[?&]Key-Pair-Id=/);
  expect([head.status, head.headers.get('content-length')]).toEqual([200, '3']);
  const client =
    'import sys, httpx\nprint(httpx.get(sys.argv[1], headers={"authorization": "x"}, follow_redirects=True).text)';
  const before = distribution.authorizations.length;
  const { stdout } = await run(join(await pythonClient(), 'python'), ['-c', client, urls.get], {
    env: { PATH: process.env.PATH, SSL_CERT_FILE: distribution.certificate },
  });
  expect(stdout.trim()).toBe('abc');
  expect(distribution.authorizations).toHaveLength(before);
});
