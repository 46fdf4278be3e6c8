import { describe, expect, test } from 'vitest';
import type { PoolAnswer } from '../../services/cli/answers.ts';
import { describePools } from '../../services/cli/pools.ts';
import { envOf, mimeo, start } from './command.ts';
import { answer, problem, startServer } from './contract-server.ts';

const id = 'mhtmkdb4mbaw7pc5dyyfc4qsbe';
const now = Date.parse('2026-11-21T10:00:00Z');
const pool: PoolAnswer = {
  model: 'local/chat',
  version: 'abcdef0123456789'.repeat(4),
  hardware: 'cpu',
  queued: 3,
  running: 1,
  desired: 2,
  reason: '3 jobs wait; the limit of 2 instances is reached',
  breaker: null,
  instances: [
    {
      id: `i-${'1'.repeat(32)}`,
      phase: 'ready',
      since: '2026-11-21T09:57:55.000Z',
      running: 1,
      failure: null,
    },
    { id: `i-${'2'.repeat(32)}`, phase: 'setup', since: '2026-11-21T09:59:18Z', running: 0, failure: null },
  ],
};

function prediction(over: object) {
  return { id, status: 'processing', output: null, logs: '', error: null, ...over };
}

describe('ps', () => {
  test('tells of a pool, its queue, its instances, and why there are so many', () => {
    expect(describePools([pool], now)).toBe(
      [
        'local/chat:abcdef012345  cpu',
        '  3 waiting, 1 running, 2 instances, 2 wanted',
        '  why: 3 jobs wait; the limit of 2 instances is reached',
        '    i-11111111  ready     for 2 min 5 s  runs 1',
        '    i-22222222  setup     for 42 s',
      ].join('\n'),
    );
  });

  test("says what an instance waits for, and tells a cluster's pods apart by the ends of their names", () => {
    const pod = (suffix: string) => `m-${'a'.repeat(32)}-${suffix}`;
    const since = '2026-11-21T09:59:18Z';
    const detail = 'No machine of gpu-t4 is up yet.';
    const instances = [
      { id: pod('0123abcd'), phase: 'node', since, running: 0, failure: null, detail },
      { id: pod('4567cdef'), phase: 'ready', since, running: 0, failure: null },
    ];

    expect(describePools([{ ...pool, instances }], now)).toContain(
      [
        '    0123abcd  node      for 42 s: No machine of gpu-t4 is up yet.',
        '    4567cdef  ready     for 42 s  idle',
      ].join('\n'),
    );
  });

  test('says where to look when setups fail', () => {
    const breaker = { until: '2026-11-21T10:00:30Z', message: 'No module named torch.' };
    const text = describePools([{ ...pool, instances: [], breaker }], now);

    expect(text).toContain('  setup fails: No module named torch.\n  see: npx mimeo logs local/chat --setup');
  });

  test('shows the pools of all pages', async () => {
    const server = await startServer({
      'GET /pools': (_request, response) =>
        answer(response, 200, { next: `${server.url}/v1/pools?cursor=a%2Fb`, results: [pool] }),
      'GET /pools?cursor=a%2Fb': (_request, response) =>
        answer(response, 200, { next: null, results: [{ ...pool, model: 'local/other' }] }),
    });

    const { results } = JSON.parse((await mimeo(['ps', '--json'], { env: envOf(server) })).stdout);

    expect(results).toMatchObject([{ model: 'local/chat' }, { model: 'local/other' }]);
  });

  test('prints the pools, or as JSON all that the server tells', async () => {
    const server = await startServer({
      'GET /pools': (_request, response) => answer(response, 200, { results: [{ ...pool, more: 1 }] }),
    });

    const plain = await mimeo(['ps'], { env: envOf(server) });
    const json = await mimeo(['ps', '--json'], { env: envOf(server) });

    expect(plain).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('local/chat:abcdef012345  cpu\n'),
    });
    expect(JSON.parse(json.stdout).results).toEqual([{ ...pool, more: 1 }]);
  });

  test('--watch shows what changed until Ctrl-C', async () => {
    let queued = 0;
    const server = await startServer({
      'GET /pools': (_request, response) => {
        queued = Math.min(queued + 1, 2);
        answer(response, 200, { results: [{ ...pool, queued }] });
      },
    });

    const running = start(['ps', '--watch', '--json'], { env: envOf(server) });
    await expect.poll(() => running.soFar.stdout.split('\n').length, { timeout: 20_000 }).toBe(3);
    await expect.poll(() => server.received.length, { timeout: 20_000 }).toBeGreaterThan(2);
    running.child.kill('SIGINT');
    const ended = await running.ended;

    expect(ended.code).toBe(130);
    const lines = ended.stdout.trimEnd().split('\n');
    expect(lines.map((line) => JSON.parse(line).results[0].queued)).toEqual([1, 2]);
  });

  test('says how to get a pool where there is none, and that a server is too old', async () => {
    const server = await startServer({
      'GET /pools': (_request, response) => answer(response, 200, { results: [] }),
    });
    const old = await startServer();

    expect((await mimeo(['ps'], { env: envOf(server) })).stdout).toContain('npx mimeo run OWNER/NAME');
    expect(await mimeo(['ps'], { env: envOf(old) })).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('older release'),
    });
  });
});

describe('logs', () => {
  test('are printed as they are, and it is said that there will be more', async () => {
    const server = await startServer({
      [`GET /predictions/${id}`]: (_request, response) =>
        answer(response, 200, prediction({ logs: 'one\ntwo' })),
    });

    const ended = await mimeo(['logs', id], { env: envOf(server) });

    expect(ended).toMatchObject({ code: 0, stdout: 'one\ntwo\n' });
    expect(ended.stderr).toContain(`npx mimeo logs ${id} -f`);
  });

  test('are followed to the end, each part once', async () => {
    const looks = ['on', 'one\nt', 'one\ntwo\n'];
    const server = await startServer({
      [`GET /predictions/${id}`]: (_request, response) => {
        const logs = looks.shift();
        answer(
          response,
          200,
          logs === undefined
            ? prediction({ status: 'failed', logs: 'one\ntwo\nthree\n', error: 'boom', code: 'model_error' })
            : prediction({ logs }),
        );
      },
    });

    const ended = await mimeo(['logs', id, '--follow'], { env: envOf(server) });

    expect(ended).toMatchObject({ code: 0, stdout: 'one\ntwo\nthree\n' });
    expect(ended.stderr).toContain('The prediction failed (model_error): boom');
  });

  test('--setup prints those of each instance', async () => {
    const about = { version: 'a'.repeat(64), failure: null };
    const results = [
      { ...about, instance: 'i-1', phase: 'ready', logs: 'loaded weights\n' },
      {
        ...about,
        instance: null,
        phase: 'failed',
        failure: { code: 'setup_failed', message: 'No torch.' },
        logs: 'Traceback',
      },
    ];
    const server = await startServer({
      'GET /models/local/chat/setup-logs': (_request, response) => answer(response, 200, { results }),
    });

    const ended = await mimeo(['logs', 'local/chat', '--setup'], { env: envOf(server) });

    expect(ended).toMatchObject({ code: 0, stdout: 'loaded weights\nTraceback\n' });
    expect(ended.stderr).toContain('== i-1 of version aaaaaaaaaaaa: ready\n');
    expect(ended.stderr).toContain('== the last setup of version aaaaaaaaaaaa: failed: No torch.\n');
  });

  test.each([
    [['logs', 'local/chat'], '--setup'],
    [['logs', 'nonsense'], "is not a prediction's id"],
    [['logs', 'local/chat', '--setup', '--follow'], '--follow is for a prediction'],
    [['logs', id, '--json', '--follow'], 'leave --follow out'],
  ])('%j is refused with one clear line', async (words, why) => {
    const ended = await mimeo(words, { env: { MIMEO_URL: 'http://127.0.0.1:1', MIMEO_API_TOKEN: 'x' } });

    expect(ended).toMatchObject({ code: 2, stdout: '' });
    expect(ended.stderr).toContain(why);
  });
});

describe('rm', () => {
  test('stops a prediction that runs, and leaves one that has ended alone', async () => {
    const looks = ['processing', 'succeeded'];
    const server = await startServer({
      [`GET /predictions/${id}`]: (_request, response) =>
        answer(response, 200, prediction({ status: looks.shift() })),
      [`POST /predictions/${id}/cancel`]: (_request, response) =>
        answer(response, 200, prediction({ status: 'canceled' })),
    });

    const first = await mimeo(['rm', id], { env: envOf(server) });
    const second = await mimeo(['rm', id], { env: envOf(server) });

    expect(first).toMatchObject({ code: 0, stderr: `canceled; prediction ${id}\n` });
    expect(second.stderr).toContain('It had ended already: succeeded');
    expect(server.received.filter(({ method }) => method === 'POST')).toHaveLength(1);
  });

  test('deletes a model, and a version of it', async () => {
    const version = 'a'.repeat(64);
    const server = await startServer({
      'DELETE /models/local/chat': (_request, response) => void response.writeHead(204).end(),
      [`DELETE /models/local/chat/versions/${version}`]: (_request, response) =>
        void response.writeHead(202).end(),
    });

    const model = await mimeo(['rm', 'local/chat'], { env: envOf(server) });
    const ofIt = await mimeo(['rm', `local/chat:${version}`], { env: envOf(server) });

    expect(model).toMatchObject({ code: 0, stderr: 'Deleted local/chat.\n' });
    expect(ofIt).toMatchObject({ code: 0, stderr: 'Deleted local/chat:aaaaaaaaaaaa….\n' });
  });

  test.each([
    [404, 'not_found', 2, 'There is no local/chat of yours'],
    [405, 'method_not_allowed', 2, 'deletes no models'],
    [409, 'conflict', 1, 'It still has versions'],
  ])('what the server answers with %i is explained', async (status, code, exitCode, why) => {
    const server = await startServer({
      'DELETE /models/local/chat': (_request, response) =>
        problem(response, status, code, 'It still has versions.'),
    });

    const ended = await mimeo(['rm', 'local/chat'], { env: envOf(server) });

    expect(ended).toMatchObject({ code: exitCode, stdout: '' });
    expect(ended.stderr).toContain(why);
  });

  test('what is neither a prediction nor a model is refused', async () => {
    const ended = await mimeo(['rm', 'nonsense'], { env: { MIMEO_URL: 'http://127.0.0.1:1' } });

    expect(ended.code).toBe(2);
    expect(ended.stderr).toContain('neither a prediction');
  });
});
