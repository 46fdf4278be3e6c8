import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SourceBuilder } from '../../services/api/routes/versions-push.ts';
import { openApi, schemaWith, type TestApi } from '../support/api.ts';

const first = 'a'.repeat(64);
const built = 'b'.repeat(64);

/** Takes any archive for the same version. */
const builder: SourceBuilder = {
  async build(archive) {
    for await (const _ of archive);
    const openapiSchema = schemaWith({ text: { type: 'string' } });
    return { id: built, cogVersion: '0.23.1', openapiSchema, concurrency: 1, warnings: [] };
  },
};

let test: TestApi;
beforeEach(async () => {
  test = await openApi(builder);
  await test.addModel({ name: 'large', hardware: 'gpu-a40-small' }, { id: first, gpuMemoryGb: 40 });
});
afterEach(async () => test.close());

async function json(method: string, path: string, body?: unknown): Promise<Record<string, unknown>> {
  const response = await test.call(method, path, body);
  return { ...((await response.json()) as object), status: response.status };
}

/** The status of a push and the lines of its answer. */
async function push(query: string) {
  const url = `http://127.0.0.1:1/v1/models/local/large/versions${query}`;
  const headers = { authorization: `Bearer ${test.token}`, 'content-type': 'application/gzip' };
  const response = await test.api.app.request(url, { method: 'POST', headers, body: gzipSync('x') });
  const text = await response.text();
  const lines = text.split('\n').filter(Boolean);
  return { status: response.status, lines: lines.map((line): unknown => JSON.parse(line)) };
}

describe('a push that states the GPU memory it needs', () => {
  it('makes a version that says so', async () => {
    expect((await push('?gpu_memory_gb=47.5')).lines.at(-1)).toMatchObject({
      type: 'version',
      version: { id: built, gpu_memory_gb: 47.5 },
    });
    expect(await json('GET', `/v1/models/local/large/versions/${built}`)).toMatchObject({
      gpu_memory_gb: 47.5,
    });
  });

  it('is refused before it is built where the model’s hardware cannot hold it, with the SKUs that can', async () => {
    const { status, lines } = await push('?gpu_memory_gb=80');

    expect(status).toBe(422);
    expect(lines).toMatchObject([
      {
        code: 'invalid_body',
        detail:
          '- gpu_memory_gb: local/large runs on gpu-a40-small, which cannot hold this version. ' +
          'It needs 80 GB of GPU memory, and gpu-a40-small has 48 GB; choose one of gpu-a100-large, gpu-h100.',
      },
    ]);
    expect(await test.models.getVersion('local/large', built)).toBeUndefined();
  });

  it.each(['', '0', '-1', 'x', '1e9', 'NaN', 'Infinity'])('is refused with %j', async (need) => {
    const { status, lines } = await push(`?gpu_memory_gb=${need}`);

    expect(status).toBe(400);
    expect(lines).toMatchObject([{ detail: expect.stringContaining('- gpu_memory_gb: ') }]);
  });

  it('of what was pushed before is told that it stays as it was', async () => {
    await push('');

    const { lines } = await push('?gpu_memory_gb=24');

    expect(lines).toMatchObject([
      { type: 'warning', message: expect.stringContaining('not to say what GPU memory it needs') },
      { type: 'version', created: false },
    ]);
  });
});

describe('hardware of a model', () => {
  it('is changed to what holds its latest version', async () => {
    expect(await json('PATCH', '/v1/models/local/large', { hardware: 'gpu-l40s' })).toMatchObject({
      status: 200,
      hardware: 'gpu-l40s',
    });
  });

  it.each([
    ['gpu-t4', 'gpu-t4 has 16 GB'],
    ['cpu', 'cpu has no GPU'],
  ])('is not changed to %s, which cannot hold it', async (hardware, why) => {
    expect(await json('PATCH', '/v1/models/local/large', { hardware })).toMatchObject({
      status: 422,
      detail: `- hardware: ${hardware} cannot hold version ${first} of local/large. It needs 40 GB of GPU memory, and ${why}; choose one of gpu-a40-small, gpu-a40-large, gpu-l40s, gpu-a100-small, gpu-a100-large, gpu-h100.`,
    });
    expect((await test.models.get('local/large'))?.hardware).toBe('gpu-a40-small');
  });

  it('is one that is offered', async () => {
    expect(await json('PATCH', '/v1/models/local/large', { hardware: 'gpu-b200' })).toMatchObject({
      status: 422,
      detail: expect.stringContaining('gpu-b200 is not offered here; choose one of cpu,'),
    });
  });

  it('that cannot hold an older version refuses predictions on that one', async () => {
    const known = await test.models.getVersion('local/large', first);
    if (!known) throw new Error('no first version');
    const { gpuMemoryGb: _large, ...small } = known;
    await test.models.addVersion({ ...small, id: built, createdAt: known.createdAt + 1 });
    await json('PATCH', '/v1/models/local/large', { hardware: 'gpu-t4' });

    expect(await json('POST', '/v1/predictions', { version: first, input: {} })).toMatchObject({
      status: 422,
      detail: expect.stringContaining(`gpu-t4 cannot hold ${first}. It needs 40 GB of GPU memory`),
    });
    expect(await json('POST', '/v1/predictions', { version: built, input: {} })).toMatchObject({
      status: 201,
    });
  });
});
