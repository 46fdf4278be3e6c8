import { tlsDistributions } from '../../policies/transport/tls-distributions.ts';
import { tlsListeners } from '../../policies/transport/tls-listeners.ts';
import { tlsOnlyStores } from '../../policies/transport/tls-only-stores.ts';
import {
  allow,
  balancer,
  bucket,
  denyPlain,
  distribution,
  queue,
  resource,
  testCases,
  unknownText,
} from './fixtures.ts';

const store = resource(bucket, {}, { name: 'store' });
const waiting = resource(queue, {}, { name: 'waiting' });
const policyOf = (of: typeof store, policy: string) =>
  of.type === bucket
    ? resource(
        'aws:s3/bucketPolicy:BucketPolicy',
        { bucket: unknownText, policy },
        { name: `${of.name}-policy`, needs: [of] },
      )
    : resource(
        'aws:sqs/queuePolicy:QueuePolicy',
        { queueUrl: unknownText, policy },
        { name: `${of.name}-policy`, needs: [of] },
      );
const narrowed = denyPlain.replace('"Condition":{', '"Condition":{"StringEquals":{"aws:username":"a"},');
testCases({
  policy: tlsOnlyStores,
  passes: {
    'a bucket': [store, policyOf(store, denyPlain)],
    'a queue': [waiting, policyOf(waiting, denyPlain.replace('s3:*', 'sqs:*'))],
    'a queue with a policy of its own': resource(queue, { policy: denyPlain }),
    'a policy that a preview does not know': [store, policyOf(store, unknownText)],
  },
  fails: {
    'a bucket without a policy': [store, /store takes requests without TLS/],
    'a queue without a policy': [waiting, /waiting takes/],
    'a policy that allows': [
      [store, policyOf(store, allow({ Action: 's3:GetObject', Resource: 'a' }))],
      /SecureTransport/,
    ],
    'a denial for some': [[store, policyOf(store, narrowed)], /SecureTransport/],
  },
});

const listener = (inputs: Record<string, unknown>, environment = 'prod') =>
  resource('aws:lb/listener:Listener', inputs, { in: environment });
const tls = { protocol: 'HTTPS', port: 443, sslPolicy: 'ELBSecurityPolicy-TLS13-1-2-2021-06' };
const redirect = {
  protocol: 'HTTP',
  port: 80,
  defaultActions: [
    { type: 'redirect', redirect: { protocol: 'HTTPS', port: '443', statusCode: 'HTTP_301' } },
  ],
};
testCases({
  policy: tlsListeners,
  passes: {
    TLS: listener(tls),
    'a redirect': listener(redirect),
    'plain HTTP in dev': listener({ protocol: 'HTTP', port: 80 }, 'dev'),
    'both of awsx': resource(balancer, { listeners: [tls, redirect] }, { in: 'prod' }),
  },
  fails: {
    'plain HTTP in prod': [
      listener({ protocol: 'HTTP', port: 80, defaultActions: [{ type: 'forward' }] }),
      /plain HTTP on port 80/,
    ],
    'old versions of TLS': [listener({ ...tls, sslPolicy: 'ELBSecurityPolicy-2016-08' }), /set sslPolicy/],
    'the default of TLS': [listener({ protocol: 'HTTPS', port: 443 }), /set sslPolicy/],
    'what awsx does by itself': [resource(balancer, {}, { in: 'prod' }), /plain HTTP/],
    'a redirect to another port of HTTP': [
      listener({ ...redirect, defaultActions: [{ type: 'redirect', redirect: { protocol: 'HTTP' } }] }),
      /redirect it to HTTPS/,
    ],
  },
});
const secure = { viewerProtocolPolicy: 'https-only' };
testCases({
  policy: tlsDistributions,
  passes: {
    'HTTPS alone': resource(distribution, {
      defaultCacheBehavior: secure,
      viewerCertificate: { cloudfrontDefaultCertificate: true },
    }),
    'its own certificate': resource(distribution, {
      defaultCacheBehavior: secure,
      viewerCertificate: { acmCertificateArn: unknownText, minimumProtocolVersion: 'TLSv1.2_2021' },
    }),
  },
  fails: {
    'plain HTTP': [
      resource(distribution, { defaultCacheBehavior: { viewerProtocolPolicy: 'allow-all' } }),
      /answers plain HTTP/,
    ],
    'old versions of TLS': [
      resource(distribution, {
        defaultCacheBehavior: secure,
        viewerCertificate: { acmCertificateArn: unknownText },
      }),
      /TLSv1.2_2021/,
    ],
    'a plain origin': [
      resource(distribution, {
        defaultCacheBehavior: secure,
        origins: [{ customOriginConfig: { originProtocolPolicy: 'match-viewer' } }],
      }),
      /calls its origin/,
    ],
  },
});
