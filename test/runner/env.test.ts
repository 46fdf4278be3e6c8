import { expect, test } from 'vitest';
import { parseRunnerEnv } from '../../services/runner/env.ts';

const complete = {
  MIMEO_URL: 'https://mimeo.example.com',
  MIMEO_RUNNER_TOKEN: 'a-secret-token',
  MIMEO_INSTANCE: 'i-1',
  MIMEO_POOL: 'a/b:c@cpu',
};

test('what is not set has its default', () => {
  const env = parseRunnerEnv(complete);

  expect(env).toMatchObject({ COG_URL: 'http://127.0.0.1:5000', MIMEO_CONCURRENCY: 1, MIMEO_STREAMS: false });
});

test('one message lists every mistake and no value', () => {
  const wrong = {
    ...complete,
    MIMEO_URL: 'ftp://a-secret',
    MIMEO_POOL: undefined,
    COG_URL: 'http://10.0.0.1:5000',
  };

  expect(() => parseRunnerEnv(wrong)).toThrow(/MIMEO_URL: [\s\S]*MIMEO_POOL is missing[\s\S]*COG_URL: /);
  expect(() => parseRunnerEnv(wrong)).not.toThrow(/a-secret/);
});

test('the place where a Cog server sends its files is one of this machine that nobody can guess', () => {
  const parse = (url: string) => parseRunnerEnv({ ...complete, COG_UPLOAD_URL: url }).COG_UPLOAD_URL;
  const good = 'http://127.0.0.1:5001/0f8a2b7c9d1e3f40';

  expect(parse(good)).toBe(good);
  for (const bad of [
    'http://10.0.0.1:5001/0f8a2b7c9d1e3f40',
    'http://127.0.0.1:5001/',
    'http://127.0.0.1:5001/a',
  ])
    expect(() => parse(bad)).toThrow(/COG_UPLOAD_URL/);
});

test('a token is given or lies in a file, and no value is shown of one that is both', () => {
  const { MIMEO_RUNNER_TOKEN: token, ...rest } = complete;
  const file = { MIMEO_RUNNER_TOKEN_FILE: '/var/run/secrets/mimeo/token' };

  expect(parseRunnerEnv({ ...rest, ...file })).toMatchObject(file);
  expect(() => parseRunnerEnv(rest)).toThrow('MIMEO_RUNNER_TOKEN is missing');
  const both = { ...rest, ...file, MIMEO_RUNNER_TOKEN: token };
  expect(() => parseRunnerEnv(both)).toThrow(/MIMEO_RUNNER_TOKEN: is set, and so is MIMEO_RUNNER_TOKEN_FILE/);
  expect(() => parseRunnerEnv(both)).not.toThrow(/a-secret/);
});

test('what a pod of a cluster sets', () => {
  const pod = { ...complete, MIMEO_REPORTS: 'true', MIMEO_DRAIN_PORT: '8081' };

  expect(parseRunnerEnv(pod)).toMatchObject({ MIMEO_REPORTS: true, MIMEO_DRAIN_PORT: 8081 });
  expect(parseRunnerEnv(complete)).toMatchObject({ MIMEO_REPORTS: false });
  expect(() => parseRunnerEnv({ ...complete, MIMEO_DRAIN_PORT: '70000' })).toThrow('MIMEO_DRAIN_PORT: ');
});
