import { expect, test } from 'vitest';
import { parseCogYaml } from '../../services/registrar/cog-yaml.ts';
import {
  installerEnvironment,
  modelEnvironment,
  runtimeEnvironment,
} from '../../services/registrar/process-environment.ts';

const host = {
  PATH: '/usr/bin',
  HOME: '/home/me',
  LANG: 'C.UTF-8',
  CUDA_VISIBLE_DEVICES: '0',
  HTTPS_PROXY: 'http://me:hunter2@proxy:3128',
  http_proxy: 'http://proxy:3128',
  PIP_INDEX_URL: 'https://me:hunter2@index',
  HF_TOKEN: 'secret',
  AWS_SECRET_ACCESS_KEY: 'secret',
  REPLICATE_API_TOKEN: 'secret',
  NVIDIA_API_KEY: 'secret',
  MIMEO_HOME: '/home/me/.mimeo',
};

test('a model sees what programs need and no credentials', () => {
  expect(modelEnvironment(host)).toEqual({
    PATH: '/usr/bin',
    HOME: '/home/me',
    LANG: 'C.UTF-8',
    CUDA_VISIBLE_DEVICES: '0',
    http_proxy: 'http://proxy:3128',
  });
});

test('pip sees its own options as well', () => {
  expect(installerEnvironment(host)).toMatchObject({ PIP_INDEX_URL: 'https://me:hunter2@index' });
  expect(installerEnvironment(host)).not.toHaveProperty('HF_TOKEN');
});

test('the variables of cog.yaml reach the model, and its own programs come first', () => {
  const cogYaml = parseCogYaml('run: run.py:Runner\nenvironment:\n  - GREETING=hello');

  const env = runtimeEnvironment('/venv', cogYaml, 3);

  expect(env).toMatchObject({
    GREETING: 'hello',
    COG_PREDICT_TYPE_STUB: 'run.py:Runner',
    COG_MAX_CONCURRENCY: '3',
    COG_LOG_LEVEL: 'warning',
  });
  expect(env.PATH).toBe(`/venv/bin:${process.env.PATH}`);
});
