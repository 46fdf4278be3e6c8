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
