import { expect, it } from 'vitest';
import { parseApiEnv } from '../../services/api/env.ts';

const least = {
  MIMEO_REPOSITORY_PREFIX: 'mimeo-dev',
  MIMEO_PUSH_ROLE_ARN: 'arn:aws:iam::123456789012:role/mimeo-dev-push',
  MIMEO_TABLE: 'mimeo',
  MIMEO_QUEUE_PREFIX: 'mimeo-jobs-',
  MIMEO_BUCKET: 'mimeo-outputs',
  MIMEO_CHANNEL_URL: 'rediss://valkey.internal:6379',
  MIMEO_PUBLIC_URL: 'https://mimeo.example.com/',
  MIMEO_SIGNING_KEY: Buffer.alloc(32, 1).toString('base64'),
};

it('takes what the cloud gives it, and listens on this machine only unless told otherwise', () => {
  expect(parseApiEnv(least)).toMatchObject({
    MIMEO_HOST: '127.0.0.1',
    MIMEO_DRAIN_SECONDS: 110,
    MIMEO_IDLE_TIMEOUT_SECONDS: 120,
    MIMEO_PUBLIC_URL: 'https://mimeo.example.com',
    MIMEO_SIGNING_KEY: Buffer.alloc(32, 1),
    MIMEO_WEBHOOK_PRIVATE: false,
  });
});

it('trusts a cluster, where it is named with the ServiceAccount of its director', () => {
  const cluster = {
    MIMEO_CLUSTER_ISSUER: 'https://oidc.eks.us-east-1.amazonaws.com/id/0123',
    MIMEO_DIRECTOR_SERVICE_ACCOUNT: 'mimeo:director',
  };

  expect(parseApiEnv({ ...least, ...cluster })).toMatchObject(cluster);
  expect(() => parseApiEnv({ ...least, ...cluster, MIMEO_DIRECTOR_SERVICE_ACCOUNT: 'director' })).toThrow(
    'takes a ServiceAccount such as mimeo:director',
  );
});

it('names every mistake at once, and shows no value, which may be a secret', () => {
  const { MIMEO_TABLE: _, ...rest } = least;
  const short = Buffer.alloc(31, 7).toString('base64');
  const parse = () => parseApiEnv({ ...rest, MIMEO_SIGNING_KEY: short, MIMEO_HOST: 'everywhere' });

  expect(parse).toThrow('MIMEO_TABLE is missing');
  expect(parse).toThrow('MIMEO_SIGNING_KEY: takes at least 32 bytes in base64');
  expect(parse).toThrow('MIMEO_HOST: ');
  expect(parse).not.toThrow(short);
});
