import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { sharedPoolId } from '../../services/core/pool.ts';
import type { FleetProtocol } from '../../services/ports/fleet-protocol/port.ts';
import { openApi, schemaWith, type TestApi } from '../support/api.ts';

let test: TestApi;
beforeAll(async () => {
  test = await openApi();
  const inputs = {
    steps: { type: 'integer', minimum: 1, maximum: 50 },
    prompt: { type: 'string', maxLength: 5 },
    mode: { type: 'string', enum: ['fast', 'good'] },
    image: { type: 'string', format: 'uri' },
  };
  await test.addModel({ name: 'paint' }, { openapiSchema: schemaWith(inputs, ['prompt']) });
});
afterAll(async () => test.close());

/** The problem that a call is answered with; fails where the answer is not one. */
async function problemOf(response: Response) {
  expect(response.headers.get('content-type')).toBe('application/problem+json');
  const problem = (await response.json()) as Record<string, string | number>;
  expect(problem).toEqual({
    type: `https://mimeo.dev/problems/${problem.code}`,
    title: expect.any(String),
    status: response.status,
    detail: expect.stringMatching(/./),
    code: expect.any(String),
  });
  return problem;
}

async function problem(method: string, path: string, body?: unknown, headers?: Record<string, string>) {
  return await problemOf(await test.call(method, path, body, headers));
}

async function inputDetail(input: unknown): Promise<string[]> {
  const { status, detail } = await problem('POST', '/v1/models/local/paint/predictions', { input });
  expect(status).toBe(422);
  return String(detail).split('\n').sort();
}

describe('routes', () => {
  it.each(['/v1/nothing', '/v1/predictions/', '/v1/predictions/x/y', '/nothing', '/v1/models/a'])(
    '%s is not there',
    async (path) => {
      expect(await problem('GET', path)).toMatchObject({ status: 404, code: 'not_found' });
    },
  );

  it.each([
    ['PUT', '/v1/predictions', ['GET', 'POST']],
    ['DELETE', '/v1/predictions/abc', ['GET']],
    ['GET', '/v1/predictions/abc/cancel', ['POST']],
    ['PATCH', '/v1/hardware', ['GET']],
    ['POST', '/healthz', ['GET']],
    ['GET', '/fleet/v1/lease', ['POST']],
  ])('%s %s is answered with the methods that there are', async (method, path, allowed) => {
    const response = await test.call(method, path);

    expect(response.headers.get('allow')?.split(', ').sort()).toEqual(allowed);
    expect(await problemOf(response)).toMatchObject({ status: 405, code: 'method_not_allowed' });
  });

  it('paths with strange characters are just not there', async () => {
    for (const path of ['/v1/%00', '/v1/predictions/%2e%2e%2ftoken', '/v1/models/a/b%2Fc', '/v1/%E0%A4%A'])
      expect((await problem('GET', path)).status).toBe(404);
  });

  it('health is open to everybody', async () => {
    for (const path of ['/healthz', '/readyz']) {
      const response = await test.api.app.request(path);
      expect([response.status, await response.json()]).toEqual([200, { status: 'ok' }]);
    }
  });
});

describe('bodies', () => {
  it.each([
    ['not JSON', '{"input": '],
    ['empty', ''],
  ])('that are %s are refused', async (_, body) => {
    const { status, code } = await problem('POST', '/v1/predictions', body);

    expect([status, code]).toEqual([400, 'invalid_json']);
  });

  it.each([
    ['null', null],
    ['a list', []],
    ['a number', 7],
    ['without input', { version: 'local/paint' }],
    ['with a list as input', { version: 'local/paint', input: [] }],
    ['with a number as version', { version: 7, input: {} }],
  ])('that are %s are refused, naming the field', async (_, body) => {
    const { status, code, detail } = await problem('POST', '/v1/predictions', body);

    expect([status, code]).toEqual([422, 'invalid_body']);
    expect(detail).toMatch(/^- (body|input|version): ./m);
  });

  it.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'text/json',
  ])('of type %s are refused', async (type) => {
    const { status, detail } = await problem('POST', '/v1/predictions', '{}', { 'content-type': type });

    expect(status).toBe(415);
    expect(detail).toContain('application/json');
  });

  it.each(['application/json; charset=utf-8', 'Application/JSON', 'application/merge-patch+json'])(
    'of type %s are read',
    async (type) => {
      const body = { version: 'local/paint', input: { prompt: 'x' } };
      const response = await test.call('POST', '/v1/predictions', body, { 'content-type': type });

      expect(response.status).toBe(201);
    },
  );

  it('with a prototype for a name are no more than data', async () => {
    const body =
      '{"version": "local/paint", "input": {"prompt": "x", "__proto__": {"steps": 99}, "constructor": 1}}';
    const response = await test.call('POST', '/v1/predictions', body);

    expect(response.status).toBe(201);
    expect(((await response.json()) as { input: object }).input).toEqual({ prompt: 'x' });
    expect(({} as { steps?: number }).steps).toBeUndefined();
  });

  it('above ten megabytes are refused, whether their length is told or not', async () => {
    const large = JSON.stringify({ version: 'local/paint', input: { prompt: 'x'.repeat(10 * 1024 * 1024) } });
    const told = await problem('POST', '/v1/predictions', large, { 'content-length': String(large.length) });
    const untold = await problem('POST', '/v1/predictions', large);

    for (const { status, code } of [told, untold]) expect([status, code]).toEqual([413, 'payload_too_large']);
  });

  it.each([101, 100_000])('nested %i levels deep are refused', async (depth) => {
    const nested = `{"version": "local/paint", "input": {"prompt": ${'['.repeat(depth)}${']'.repeat(depth)}}}`;

    const { status, detail } = await problem('POST', '/v1/predictions', nested);

    expect(status).toBe(422);
    expect(detail).toBe('- input: may be nested 100 levels deep, not more');
  });
});

describe('inputs', () => {
  it('are refused with a line for each mistake', async () => {
    expect(await inputDetail({ steps: 51, mode: 'slow', image: 'file:///etc/passwd' })).toEqual([
      '- input.image: Must be an http(s) URL or a data URL',
      '- input.mode: Must be one of "fast", "good"',
      '- input.prompt: This input is required',
      '- input.steps: Must be less than or equal to 50',
    ]);
  });

  it.each([
    [{ prompt: 1 }, '- input.prompt: Must be a string'],
    [{ prompt: null }, '- input.prompt: This input is required'],
    [{ prompt: 'too long' }, '- input.prompt: Must be at most 5 characters long'],
    [{ prompt: 'x', steps: 1.5 }, '- input.steps: Must be an integer'],
    [{ prompt: 'x', steps: '5' }, '- input.steps: Must be an integer'],
    [{ prompt: 'x', steps: 0 }, '- input.steps: Must be greater than or equal to 1'],
  ])('%j is refused: %s', async (input, line) => {
    expect(await inputDetail(input)).toEqual([line]);
  });
});

describe("what a version's schema asks for", () => {
  const post = async (name: string, body: unknown) =>
    test.call('POST', `/v1/models/local/${name}/predictions`, body);
  beforeAll(async () => {
    const inputs = {
      number: { type: 'number' },
      any: { type: 'object' },
      numbers: { type: 'array', items: { type: 'integer' } },
      phone: { type: 'string', pattern: '^\\d{3}\\-\\d{4}\\ \\@\\.$' },
    };
    await test.addModel({ name: 'picky' }, { id: 'b'.repeat(64), openapiSchema: schemaWith(inputs) });
    const slow = { text: { type: 'string', pattern: '^(a+)+$' } };
    await test.addModel({ name: 'slow' }, { id: 'c'.repeat(64), openapiSchema: schemaWith(slow) });
  });

  it.each([
    ['a number too large', '{"number": 1e999}', '- input.number: is too large for a number'],
    ['one within', '{"any": {"a": [-1e999]}}', '- input.any.a.0: is too large for a number'],
    ['half a character', '{"text": "\\ud83e"}', '- input.text: must be valid Unicode'],
    ['a name with half a character', '{"any": {"\\udd86": 1}}', 'must be valid Unicode'],
  ])('does not let %s through, which no model server reads', async (_, input, line) => {
    const { status, detail } = await problemOf(await post('picky', `{"input": ${input}}`));

    expect(status).toBe(422);
    expect(detail).toContain(line);
  });

  it('lets whole characters of every kind through', async () => {
    expect((await post('picky', '{"input": {"any": {"🦆": "\\ud83e\\udd86"}}}')).status).toBe(201);
  });

  it('names one mistake of an input with a million of them', async () => {
    const { detail } = await problemOf(
      await post('picky', { input: { numbers: Array(1_000_000).fill('') } }),
    );

    expect(detail).toBe('- input.numbers.0: Must be an integer');
  });

  it('reads a pattern as Python does, which lets punctuation be escaped', async () => {
    expect((await post('picky', { input: { phone: '555-1234 @.' } })).status).toBe(201);
    expect((await post('picky', { input: { phone: '555_1234 @.' } })).status).toBe(422);
  });

  it('cannot hold up everybody by a pattern that takes for ever', async () => {
    expect((await post('slow', { input: { text: 'aaa' } })).status).toBe(201);
    const startedAt = performance.now();
    const { status, detail } = await problemOf(
      await post('slow', { input: { text: `${'a'.repeat(200)}!` } }),
    );

    expect(status).toBe(422);
    expect(detail).toContain('Checking it took longer than');
    expect(performance.now() - startedAt).toBeLessThan(5000);
  });
});

describe('versions', () => {
  it.each([
    '',
    'paint',
    'a/b/c',
    'local/paint:latest',
    'local/paint:',
    `local/paint:${'A'.repeat(64)}`,
    '0'.repeat(63),
    '../../etc',
  ])('spelled %j are refused', async (version) => {
    const { status, detail } = await problem('POST', '/v1/predictions', { version, input: {} });

    expect(status).toBe(422);
    expect(detail).toContain('owner/name:id');
  });

  it.each([
    '0'.repeat(64),
    `local/paint:${'0'.repeat(64)}`,
    'local/nothing',
    `nobody/paint:${'a'.repeat(64)}`,
  ])('%s are not there', async (version) => {
    expect((await problem('POST', '/v1/predictions', { version, input: {} })).status).toBe(404);
  });

  it('a model without any is not run', async () => {
    await test.call('POST', '/v1/models', {
      owner: 'local',
      name: 'empty',
      visibility: 'private',
      hardware: 'cpu',
    });
    const { status, detail } = await problem('POST', '/v1/models/local/empty/predictions', { input: {} });

    expect(status).toBe(404);
    expect(detail).toContain('has no version yet');
  });
});

describe('models', () => {
  const model = { owner: 'local', name: 'new', visibility: 'private', hardware: 'cpu' };

  it.each([
    ['name', 'Up', '- name:'],
    ['name', '../x', '- name:'],
    ['name', 'x'.repeat(64), '- name:'],
    ['visibility', 'secret', '- visibility:'],
    ['hardware', 'gpu-h9000', '- hardware: gpu-h9000 is not offered here'],
    ['github_url', 'javascript:alert(1)', '- github_url:'],
  ])('with %s %j are refused', async (field, value, line) => {
    const { status, detail } = await problem('POST', '/v1/models', { ...model, [field]: value });

    expect(status).toBe(422);
    expect(detail).toContain(line);
  });

  it('of another owner are not made', async () => {
    expect((await problem('POST', '/v1/models', { ...model, owner: 'somebody' })).status).toBe(403);
  });

  it('take a push of a gzipped archive only', async () => {
    const path = '/v1/models/local/paint/versions';

    expect((await problem('POST', path, '{}')).status).toBe(415);
    expect((await problem('POST', path, undefined, { 'content-type': 'application/gzip' })).status).toBe(400);
  });

  it('tell in the last line of a push why there is no version', async () => {
    const headers = { 'content-type': 'application/gzip' };
    const response = await test.call('POST', '/v1/models/local/paint/versions', 'x', headers);

    expect(response.status).toBe(200);
    expect(JSON.parse(String((await response.text()).trim().split('\n').at(-1)))).toMatchObject({
      type: 'problem',
      problem: { status: 422, code: 'invalid_model', detail: 'There is no cog.yaml' },
    });
  });
});

describe('a push that fails for a reason of ours', () => {
  it('says so in its last line, without details', async () => {
    const broken = await openApi({
      build: async () => {
        throw new Error('ENOSPC: no space left on /var/lib/mimeo');
      },
    });
    onTestFinished(async () => broken.close());
    await broken.addModel({ name: 'paint' });
    const headers = { 'content-type': 'application/gzip' };

    const response = await broken.call('POST', '/v1/models/local/paint/versions', 'x', headers);

    const text = await response.text();
    expect(JSON.parse(text)).toMatchObject({ type: 'problem', problem: { status: 500, code: 'internal' } });
    expect(text).not.toContain('/var/lib');
  });
});

describe('headers', () => {
  const body = { version: 'local/paint', input: { prompt: 'x' } };

  it.each(['wait=0', 'wait=61', 'wait=x', 'wait=-1', 'wait=1e9'])('Prefer: %s is refused', async (prefer) => {
    expect((await problem('POST', '/v1/predictions', body, { prefer })).status).toBe(400);
  });

  it.each(['4', '4s', '0', '-5', '5d', '1.5m', 'soon', ''])('Cancel-After: %s is refused', async (value) => {
    const { status, detail } = await problem('POST', '/v1/predictions', body, { 'cancel-after': value });

    expect(status).toBe(400);
    expect(detail).toContain('Cancel-After');
  });

  it('a wait that is over before the end reads starting, though it runs', async () => {
    const pool = sharedPoolId({ model: 'local/paint', version: 'a'.repeat(64), hardware: 'cpu' });
    const runner = test.api.dispatch.protocolFor({ role: 'runner', pool });
    await leaseAll(runner);
    const leased = runner.lease({ instance: 'instance', waitSeconds: 5 });
    const response = await test.call('POST', '/v1/predictions', body, { prefer: 'wait=1' });

    expect(response.status).toBe(201);
    const waited = (await response.json()) as { id: string };
    expect(waited).toMatchObject({ status: 'starting', output: null, completed_at: null });
    expect((await leased)?.id).toBe(waited.id);
    const read = await test.call('GET', `/v1/predictions/${waited.id}`);
    expect(await read.json()).toMatchObject({ status: 'processing' });
  });

  it('a wait is answered at the end', async () => {
    const pool = sharedPoolId({ model: 'local/paint', version: 'a'.repeat(64), hardware: 'cpu' });
    const runner = test.api.dispatch.protocolFor({ role: 'runner', pool });
    await leaseAll(runner);
    const leased = runner.lease({ instance: 'instance', waitSeconds: 5 });
    const waiting = test.call('POST', '/v1/predictions', body, { prefer: 'wait' });
    const { id = '', attempt = 0 } = (await leased) ?? {};
    const outcome = { status: 'succeeded', output: 'painted', predictMs: 1, metrics: {} } as const;
    await runner.report({ id, attempt, events: [{ type: 'ended', outcome, logs: '', acceptedAfterMs: 0 }] });

    expect(await (await waiting).json()).toMatchObject({ id, status: 'succeeded', output: 'painted' });
  });

  /** So that the next job is the one that a test makes. */
  async function leaseAll(runner: FleetProtocol): Promise<void> {
    while (await runner.lease({ instance: 'instance', waitSeconds: 0 }));
  }
});

describe('lists', () => {
  const places = [['x'], ['x', 1], [1, 'x'], [], {}, null, [null, null], ['x', {}]];
  const cursors = [
    'x',
    '%00',
    '..%2f..%2f',
    'a'.repeat(5000),
    ...places.map((place) => Buffer.from(JSON.stringify(place)).toString('base64url')),
  ];

  it.each(['/v1/predictions', '/v1/models', '/v1/models/local/paint/versions'])(
    '%s refuses a cursor that it did not give out, or gives nothing',
    async (path) => {
      for (const cursor of cursors) {
        const response = await test.call('GET', `${path}?cursor=${cursor}`);
        if (response.status === 200) continue;
        expect(await problemOf(response)).toMatchObject({ status: 400, code: 'invalid_request' });
      }
      expect((await test.call('GET', `${path}?cursor=x`)).status).toBe(400);
    },
  );

  it.each(['created_after=yesterday', 'created_before=2026-13-45', 'created_after='])(
    '?%s is refused',
    async (query) => {
      expect((await problem('GET', `/v1/predictions?${query}`)).status).toBe(400);
    },
  );

  it('pages keep what they are narrowed to', async () => {
    const after = new Date(test.clock.now).toISOString();
    test.clock.now += 1000;
    const made = new Set<string>();
    for (let index = 0; index < 130; index += 1) {
      const body = { version: 'local/paint', input: { prompt: 'x' } };
      made.add(((await (await test.call('POST', '/v1/predictions', body)).json()) as { id: string }).id);
    }
    test.clock.now += 1000;
    const before = new Date(test.clock.now).toISOString();
    test.clock.now += 1000;
    await test.call('POST', '/v1/predictions', { version: 'local/paint', input: { prompt: 'x' } });

    const sizes: number[] = [];
    const listed = new Set<string>();
    let next: string | null = `/v1/predictions?created_after=${after}&created_before=${before}`;
    while (next !== null) {
      const page = (await (await test.call('GET', next.replace('http://127.0.0.1:1', ''))).json()) as {
        next: string | null;
        results: { id: string }[];
      };
      sizes.push(page.results.length);
      for (const { id } of page.results) listed.add(id);
      next = page.next;
    }

    expect(sizes).toEqual([100, 30]);
    expect(listed).toEqual(made);
  });
});
