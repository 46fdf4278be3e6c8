import Replicate, { type ApiError, type Prediction } from 'replicate';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunningPlatform, StartPlatform } from '../support/local-server.ts';

/** Two seconds of tokens: that the first one comes before the end is then no accident. */
const slow = { n: 20, delay: 0.1 };

export interface NpmClientOptions {
  /**
   * Whether runners can read what a model's server writes. Where they cannot, what a run printed that fails at once is
   * lost: Cog's answer leaves it out. @default true
   */
  readonly readsServerLogs?: boolean;
}

/** The npm client against a platform of its own, wherever that runs. */
export function describeNpmClient(
  start: StartPlatform,
  { readsServerLogs = true }: NpmClientOptions = {},
): void {
  let server: RunningPlatform;
  let replicate: Replicate;
  const versions: Record<string, string> = {};

  beforeAll(async () => {
    server = await start();
    for (const name of ['noop', 'counter', 'raises', 'sleeper', 'kitchen-sink']) {
      versions[name] = (await server.push(`test/models/${name}`)).version;
    }
    replicate = new Replicate({ auth: server.token, baseUrl: `${server.url}/v1` });
  });
  afterAll(async () => server?.stop());

  function ref(name: string): `${string}/${string}:${string}` {
    return `local/${name}:${versions[name]}`;
  }

  /** The error that the client threw for an answer of the API, and the problem in it. */
  async function refusal(call: Promise<unknown>): Promise<{ status: number; body: Record<string, unknown> }> {
    const error = await call.then(
      () => undefined,
      (reason: ApiError) => reason,
    );
    expect(error).toMatchObject({ name: 'ApiError' });
    if (!error) throw new Error('not refused');
    const body = JSON.parse(
      error.message.slice(error.message.indexOf('{'), error.message.lastIndexOf('}') + 1),
    );
    return { status: error.response.status, body };
  }

  describe('run', () => {
    it('gives the output of a model by its name', async () => {
      expect(await replicate.run('local/noop', { input: { text: 'hello' } })).toBe('hello');
    });

    it('gives the output of one version', async () => {
      expect(await replicate.run(ref('noop'), { input: { text: 'hello' } })).toBe('hello');
    });

    it('gives the same by polling', async () => {
      const output = await replicate.run('local/noop', {
        input: { text: 'polled' },
        wait: { mode: 'poll', interval: 20 },
      });

      expect(output).toBe('polled');
    });

    it('gives the elements of an iterator in order', async () => {
      expect(await replicate.run('local/counter', { input: { n: 5, delay: 0 } })).toEqual([0, 1, 2, 3, 4]);
    });

    it('leaves an empty output, unicode and long texts as they are', async () => {
      const long = 'ż'.repeat(100_000);

      expect(await replicate.run('local/noop', { input: {} })).toBe('');
      expect(await replicate.run('local/noop', { input: { text: 'zażółć 🦆\n"\\' } })).toBe('zażółć 🦆\n"\\');
      expect(await replicate.run('local/noop', { input: { text: long } })).toBe(long);
    });

    it('polls on where the wait was too short', async () => {
      const seen: Prediction[] = [];

      const output = await replicate.run(
        'local/sleeper',
        { input: { seconds: 1.5 }, wait: { mode: 'block', timeout: 1 } },
        (prediction) => void seen.push(prediction),
      );

      expect(output).toBe('slept 1.5 s');
      expect(seen[0]?.status).toBe('starting');
      expect(seen.at(-1)?.status).toBe('succeeded');
    });

    it('tells its progress from the first state to the last', async () => {
      const seen: Prediction[] = [];

      await replicate.run(
        'local/sleeper',
        { input: { seconds: 0.5 }, wait: { mode: 'poll', interval: 50 } },
        (prediction) => void seen.push(prediction),
      );

      const statuses = seen.map(({ status }) => status);
      expect(statuses[0]).toBe('starting');
      expect(statuses).toContain('processing');
      expect(statuses.at(-1)).toBe('succeeded');
      expect(seen.some(({ status, logs }) => status === 'processing' && logs?.includes('s left'))).toBe(true);
    });

    it('cancels the prediction when its signal aborts', async () => {
      const abort = new AbortController();
      const seen: Prediction[] = [];

      await replicate.run(
        'local/sleeper',
        { input: { seconds: 60 }, wait: { mode: 'poll', interval: 20 }, signal: abort.signal },
        (prediction) => {
          seen.push(prediction);
          if (prediction.status === 'processing') abort.abort();
        },
      );

      expect(seen.at(-1)?.status).toBe('canceled');
    });

    it('throws what the model raised', async () => {
      const run = replicate.run('local/raises', { input: { message: 'out of cheese' } });

      await expect(run).rejects.toThrow(/^Prediction failed: .*out of cheese/);
    });
  });

  describe('stream', () => {
    it('gives each token while the model still runs', async () => {
      const tokens: string[] = [];
      let statusAtFirst: string | undefined;
      for await (const { event, data } of replicate.stream('local/counter', { input: slow })) {
        if (event !== 'output') continue;
        tokens.push(data);
        if (tokens.length === 1) statusAtFirst = (await replicate.predictions.list()).results[0]?.status;
      }

      expect(tokens).toEqual(Array.from({ length: slow.n }, (_, index) => String(index)));
      expect(statusAtFirst).toBe('processing');
    });

    it('brings logs beside the output and ends with done', async () => {
      const events = await Array.fromAsync(
        replicate.stream(ref('counter'), { input: { n: 3, delay: 0.05 } }),
      );

      const logs = events.filter(({ event }) => event === 'logs').map(({ data }) => data);
      expect(logs.join('')).toContain('counting 2');
      expect(events.at(-1)).toMatchObject({ event: 'done', data: '{}' });
      expect(events.every(({ id }) => typeof id === 'string' && id.length > 0)).toBe(true);
    });

    it('says that a model without an iterator does not stream', async () => {
      const read = Array.fromAsync(replicate.stream('local/noop', { input: {} }));

      await expect(read).rejects.toThrow('Prediction does not support streaming');
    });
  });

  describe('predictions', () => {
    it('are created, read, waited for and have their metrics and price', async () => {
      const created = await replicate.predictions.create({ model: 'local/noop', input: { text: 'a' } });
      const ended = await replicate.wait(created, { interval: 20 });
      const read = await replicate.predictions.get(created.id);

      expect(created).toMatchObject({
        model: 'local/noop',
        version: versions.noop,
        status: 'starting',
        output: null,
      });
      expect(created.id).toMatch(/^[a-z2-7]{26}$/);
      expect(ended).toMatchObject({ status: 'succeeded', output: 'a', error: null, input: { text: 'a' } });
      expect(read).toEqual(ended);
      expect(ended.metrics?.predict_time).toBeGreaterThan(0);
      expect(ended.metrics?.total_time).toBeGreaterThanOrEqual(ended.metrics?.predict_time ?? Infinity);
      const times = [ended.created_at, ended.started_at, ended.completed_at];
      for (const time of times) expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
      expect(times).toEqual([...times].sort());
      expect(ended).toMatchObject({ cost: { sku: 'cpu', micro_usd: expect.any(Number) }, source: 'api' });
    });

    it.each([
      ['its id', () => versions.noop],
      ['owner/name:id', () => ref('noop')],
      ['owner/name', () => 'local/noop'],
    ])('take a version by %s', async (_, version) => {
      const prediction = await replicate.predictions.create({
        version: String(version()),
        input: { text: 'spelled' },
        wait: true,
      });

      expect(prediction).toMatchObject({ status: 'succeeded', output: 'spelled', version: versions.noop });
    });

    it('read starting where a wait of one second was too short', async () => {
      const prediction = await replicate.predictions.create({
        model: 'local/sleeper',
        input: { seconds: 2 },
        wait: 1,
      });

      expect(prediction.status).toBe('starting');
      expect((await replicate.wait(prediction, { interval: 50 })).output).toBe('slept 2 s');
    });

    it('are canceled, and canceling again changes nothing', async () => {
      const created = await replicate.predictions.create({ model: 'local/sleeper', input: { seconds: 60 } });
      const canceled = await replicate.predictions.cancel(created.id);
      const again = await replicate.predictions.cancel(created.id);

      expect(canceled).toMatchObject({ id: created.id, status: 'canceled' });
      expect(again.completed_at).toBe(canceled.completed_at);
      expect((await replicate.wait(created, { interval: 20 })).status).toBe('canceled');
    });

    it('keep the error of a model that failed, with its logs', async () => {
      const created = await replicate.predictions.create({ model: 'local/raises', input: {}, wait: true });

      expect(created).toMatchObject({
        status: 'failed',
        code: 'model_error',
        fault: 'model',
        retryable: false,
      });
      expect(created.error).toContain('this model always fails');
      if (readsServerLogs) expect(created.logs).toContain('about to raise');
    });

    it('are made once for one Idempotency-Key', async () => {
      const send = async (text: string) =>
        replicate.request('/models/local/noop/predictions', {
          method: 'POST',
          headers: { 'Idempotency-Key': 'once', Prefer: 'wait' },
          data: { input: { text } },
        });

      const [first, again] = await Promise.all([send('a'), send('a')]);
      const answers = (await Promise.all([first.json(), again.json()])) as Prediction[];

      expect(answers[0]).toMatchObject({ status: 'succeeded', output: 'a' });
      expect(answers[1]).toEqual(answers[0]);
      expect(await refusal(send('b'))).toMatchObject({ status: 422, body: { code: 'idempotency_mismatch' } });
    });

    it('are listed by the page, newest first, each once', { timeout: 240_000 }, async () => {
      const before = new Date().toISOString();
      const ids: string[] = [];
      for (let round = 0; round < 15; round += 1) {
        const created = await Promise.all(
          Array.from({ length: 8 }, () => replicate.predictions.create({ model: 'local/noop', input: {} })),
        );
        ids.push(...created.map(({ id }) => id));
      }

      const pages: Prediction[][] = [];
      for await (const page of replicate.paginate(replicate.predictions.list))
        pages.push(page as Prediction[]);

      const listed = pages.flat();
      expect(pages[0]).toHaveLength(100);
      expect(new Set(listed.map(({ id }) => id)).size).toBe(listed.length);
      expect(listed.map(({ created_at }) => created_at)).toEqual(
        listed
          .map(({ created_at }) => created_at)
          .sort()
          .reverse(),
      );
      const recent = listed.filter(({ created_at }) => created_at >= before).map(({ id }) => id);
      expect(recent.sort()).toEqual(ids.sort());
      const narrowed = await replicate.predictions.list({ created_after: before } as never);
      expect(narrowed.results).toHaveLength(100);
    });
  });

  describe('models, versions, hardware and the account', () => {
    it('creates a model and reads it back', async () => {
      const created = await replicate.models.create('local', 'made-here', {
        visibility: 'public',
        hardware: 'gpu-t4',
        description: 'Made by a test',
        github_url: 'https://example.com/code',
      });

      expect(created).toMatchObject({
        owner: 'local',
        name: 'made-here',
        visibility: 'public',
        description: 'Made by a test',
        github_url: 'https://example.com/code',
        run_count: 0,
        latest_version: null,
      });
      expect(await replicate.models.get('local', 'made-here')).toEqual(created);
    });

    it('lists public models by the page', async () => {
      const names: string[] = [];
      for await (const page of replicate.paginate(replicate.models.list))
        names.push(...page.map(({ name }) => name));

      expect(names).toContain('hello-world');
      expect(names).not.toContain('noop');
    });

    it('lists models in the order that was asked for', async () => {
      const created = await replicate.request('/models', {
        method: 'GET',
        params: { sort_by: 'model_created_at', sort_direction: 'asc' },
      });
      const { results } = (await created.json()) as { results: { name: string }[] };

      expect(results[0]?.name).toBe('hello-world');
      expect((await replicate.models.list()).results.at(-1)?.name).toBe('hello-world');
    });

    it('reads the example and the readme that its owner gave a model', async () => {
      const example = await replicate.predictions.create({
        model: 'local/noop',
        input: { text: 'show me' },
        wait: true,
      });
      await replicate.request('/models/local/noop', { method: 'PATCH', data: { readme: '# Noop' } });
      await replicate.request('/models/local/noop/examples', {
        method: 'POST',
        data: { prediction: example.id },
      });

      const pushed = await replicate.request('/models/local/hello-world/readme', { method: 'GET' });
      expect(await pushed.text()).toMatch(/^# /);
      const model = await replicate.models.get('local', 'noop');
      expect(model.default_example).toMatchObject({ id: example.id, output: 'show me' });
      const readme = await replicate.request('/models/local/noop/readme', { method: 'GET' });
      expect(await readme.text()).toBe('# Noop');
    });

    it('reads a model with its latest version and its schema, and lists its versions', async () => {
      const model = await replicate.models.get('local', 'counter');
      const listed = await replicate.models.versions.list('local', 'counter');
      const version = await replicate.models.versions.get('local', 'counter', String(versions.counter));

      expect(model.latest_version?.id).toBe(versions.counter);
      expect(listed).toMatchObject({ results: [{ id: versions.counter }] });
      expect(version).toEqual(model.latest_version);
      expect(version.openapi_schema).toMatchObject({
        components: { schemas: { Output: { 'x-cog-array-type': 'iterator' } } },
      });
    });

    it('lists hardware with SKUs and names', async () => {
      const hardware = await replicate.hardware.list();

      expect(hardware.map(({ sku }) => sku)).toEqual(expect.arrayContaining(['cpu', 'gpu-t4', 'gpu-h100']));
    });

    it('says who one is', async () => {
      expect(await replicate.accounts.current()).toMatchObject({ type: 'user', username: 'local' });
    });
  });

  describe('refusals', () => {
    it('answers a wrong token with 401', async () => {
      const stranger = new Replicate({ auth: 'r8_wrong', baseUrl: `${server.url}/v1` });

      expect(await refusal(stranger.accounts.current())).toMatchObject({
        status: 401,
        body: { status: 401, title: 'Unauthenticated', detail: expect.stringContaining('token') },
      });
    });

    it('answers what is not there with 404', async () => {
      const calls = [
        replicate.predictions.get('a'.repeat(26)),
        replicate.models.get('local', 'nothing'),
        replicate.run('local/nothing', { input: {} }),
        replicate.run(`local/noop:${'0'.repeat(64)}`, { input: {} }),
      ];

      for (const refused of await Promise.all(calls.map(refusal)))
        expect(refused).toMatchObject({ status: 404, body: { status: 404 } });
    });

    it('answers an input that does not fit with 422 and a line for each mistake', async () => {
      const { status, body } = await refusal(
        replicate.run('local/kitchen-sink', { input: { count: 11, color: 'mauve' } }),
      );

      expect(status).toBe(422);
      expect(String(body.detail).split('\n').sort()).toEqual([
        '- input.color: Must be one of "red", "green", "blue"',
        '- input.count: Must be less than or equal to 10',
        '- input.required: This input is required',
      ]);
    });

    it('answers a model that exists with 409', async () => {
      const again = replicate.models.create('local', 'noop', { visibility: 'private', hardware: 'cpu' });

      expect(await refusal(again)).toMatchObject({ status: 409 });
    });
  });
}
