import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { type LocalServer, newHome, type TestHome } from '../support/local-server.ts';
import { pythonBetaClient, pythonClient } from '../support/python-client.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '../..');

let folder: string;
let home: TestHome;
let server: LocalServer;
let tls: { readonly MIMEO_TLS_CERT: string; readonly MIMEO_TLS_KEY: string };

/** A certificate for 127.0.0.1 that signs itself. */
async function makeCertificate(name: string) {
  const [cert, key] = [join(folder, `${name}.pem`), join(folder, `${name}-key.pem`)];
  const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  await run('openssl', ['req', ...kind, '-keyout', key, '-out', cert, ...subject]);
  return { MIMEO_TLS_CERT: cert, MIMEO_TLS_KEY: key };
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mimeo-tls-'));
  tls = await makeCertificate('one');
  home = await newHome();
  // This process does not trust the certificate, so it pushes before.
  const plain = await home.start();
  for (const name of ['file-out', 'file-size']) await plain.push(`test/models/${name}`);
  await plain.stop();
  server = await home.start(tls);
});
afterAll(async () => {
  await home.remove();
  await rm(folder, { recursive: true, force: true });
});

it('the npm client gives a FileOutput whose bytes are right, and its uploads are read by models', async () => {
  const script = `
    import Replicate from 'replicate';
    const replicate = new Replicate({ auth: process.env.TOKEN, baseUrl: process.env.URL + '/v1' });
    const output = await replicate.run('local/file-out', { input: { text: 'zażółć' } });
    const size = await replicate.run('local/file-size', { input: { file: Buffer.from('abc') } });
    const text = await (await output.blob()).text();
    console.log(JSON.stringify({ kind: output.constructor.name, url: output.url().href, text, size }));`;
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script], {
    cwd: root,
    env: { ...process.env, NODE_EXTRA_CA_CERTS: tls.MIMEO_TLS_CERT, TOKEN: server.token, URL: server.url },
  });

  expect(JSON.parse(stdout)).toEqual({
    kind: 'FileOutput',
    url: expect.stringMatching(/^https:\/\/127\.0\.0\.1:\d+\/v1\/objects\//),
    text: 'zażółć',
    size: '3 616263',
  });
});

it('the Python client reads a FileOutput, sending its own Authorization header along', async () => {
  const script = `
import json, replicate
output = replicate.run("local/file-out", input={"text": "zażółć"})
print(json.dumps({"kind": type(output).__name__, "text": output.read().decode()}))`;
  const { stdout } = await run(join(await pythonClient(), 'python'), ['-c', script], {
    env: {
      PATH: process.env.PATH,
      SSL_CERT_FILE: tls.MIMEO_TLS_CERT,
      REPLICATE_BASE_URL: server.url,
      REPLICATE_API_TOKEN: server.token,
    },
  });

  expect(JSON.parse(stdout)).toEqual({ kind: 'FileOutput', text: 'zażółć' });
});

it('the Python client 2.x reads a FileOutput, a path of `use` and a download', async () => {
  const script = `
import asyncio, io, json, replicate
output = replicate.run("local/file-out", input={"text": "zażółć"})
path = replicate.use("local/file-out")(text="by path")
size = replicate.run("local/file-size", input={"file": io.BytesIO(b"abc")})
async def later():
    return await (await replicate.AsyncReplicate().run("local/file-out", input={"text": "later"})).read()
print(json.dumps({
    "kind": type(output).__name__, "text": output.read().decode(), "chunks": b"".join(output).decode(),
    "path": open(path).read(), "size": size, "later": asyncio.run(later()).decode(),
}))`;
  const { stdout } = await run(join(await pythonBetaClient(), 'python'), ['-c', script], {
    env: {
      PATH: process.env.PATH,
      TMPDIR: folder,
      SSL_CERT_FILE: tls.MIMEO_TLS_CERT,
      REPLICATE_BASE_URL: `${server.url}/v1`,
      REPLICATE_API_TOKEN: server.token,
    },
  });

  expect(JSON.parse(stdout)).toEqual({
    kind: 'FileOutput',
    text: 'zażółć',
    chunks: 'zażółć',
    path: 'by path',
    size: '3 616263',
    later: 'later',
  });
});

it('a start says which file of the certificate is wrong', async () => {
  const other = await makeCertificate('other');
  const text = join(folder, 'text');
  await writeFile(text, 'text');
  const fresh = await newHome();
  onTestFinished(fresh.remove);
  const said = async (env: Record<string, string>) => (await fresh.launch(env).ended).stderr;

  expect(await said({ MIMEO_TLS_CERT: tls.MIMEO_TLS_CERT })).toContain('belong together');
  expect(await said({ ...tls, MIMEO_TLS_KEY: join(folder, 'none') })).toMatch(
    /none \(MIMEO_TLS_KEY\) cannot be/,
  );
  expect(await said({ ...tls, MIMEO_TLS_CERT: text })).toContain('does not hold a certificate');
  expect(await said({ ...tls, MIMEO_TLS_KEY: text })).toContain('does not hold a private key');
  expect(await said({ ...tls, MIMEO_TLS_KEY: other.MIMEO_TLS_KEY })).toContain('is not that of');
});
