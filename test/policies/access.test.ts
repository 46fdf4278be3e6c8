import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { blockedBuckets } from '../../policies/access/blocked-buckets.ts';
import { clusterAccessEntries } from '../../policies/access/cluster-access-entries.ts';
import { managedPolicies } from '../../policies/access/managed-policies.ts';
import { noMetadataForPods } from '../../policies/access/no-metadata-for-pods.ts';
import { noOpenIngress } from '../../policies/access/no-open-ingress.ts';
import { noPlainSecrets } from '../../policies/access/no-plain-secrets.ts';
import { noPublicPrincipals } from '../../policies/access/no-public-principals.ts';
import { noUnexplainedWildcards } from '../../policies/access/no-unexplained-wildcards.ts';
import { noWildcardActions } from '../../policies/access/no-wildcard-actions.ts';
import { privateClusterEndpoint } from '../../policies/access/private-cluster-endpoint.ts';
import { privateFunctions } from '../../policies/access/private-functions.ts';
import { signedReads } from '../../policies/access/signed-reads.ts';
import {
  allow,
  balancer,
  bucket,
  cluster,
  denyPlain,
  distribution,
  fargate,
  lambda,
  launchTemplate,
  messagesOf,
  resource,
  rolePolicy,
  testCases,
  unknownText,
} from './fixtures.ts';

const blockType = 'aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock';
const all = {
  blockPublicAcls: true,
  blockPublicPolicy: true,
  ignorePublicAcls: true,
  restrictPublicBuckets: true,
};
const store = resource(bucket, {}, { name: 'store' });
const other = resource(bucket, {}, { name: 'other' });
const blockOf = (of: typeof store, inputs: Record<string, unknown> = all) =>
  resource(blockType, { bucket: unknownText, ...inputs }, { name: `${of.name}-block`, needs: [of] });
testCases({
  policy: blockedBuckets,
  passes: {
    'a blocked one, be its name known or not': [store, blockOf(store)],
    'a block by name': [
      resource(bucket, { bucket: 'files' }),
      resource(blockType, { bucket: 'files', ...all }, { name: 'b' }),
    ],
  },
  fails: {
    none: [store, /store has no BucketPublicAccessBlock/],
    'the block of another': [[store, other, blockOf(other)], /store has no/],
    'a switch that is off': [
      [store, blockOf(store, { ...all, ignorePublicAcls: false })],
      /set ignorePublicAcls of store-block/,
    ],
    'a public ACL': [
      [resource(bucket, { acl: 'public-read' }, { name: 'store' }), blockOf(store)],
      /ACL public-read/,
    ],
  },
});

const policy = (statement: Record<string, unknown>, type = rolePolicy) =>
  resource(type, { policy: allow(statement) });
const table = 'arn:aws:dynamodb:us-east-1:123456789012:table/mimeo';
const root = { AWS: 'arn:aws:iam::123456789012:root' };
testCases({
  policy: noWildcardActions,
  passes: {
    'actions by name': policy({ Action: ['dynamodb:GetItem'], Resource: table }),
    'a key that is handed over to IAM': policy(
      { Principal: root, Action: 'kms:*', Resource: '*' },
      'aws:kms/key:Key',
    ),
    'a denial': resource('aws:s3/bucketPolicy:BucketPolicy', { policy: denyPlain }),
    'an object in place of JSON': resource(rolePolicy, {
      policy: { Statement: { Effect: 'Allow', Action: 'sqs:SendMessage', Resource: 'a' } },
    }),
    'no policy': resource('aws:sqs/queue:Queue', {}),
  },
  fails: {
    'all of a service': [policy({ Action: 'dynamodb:*', Resource: table }), /allows dynamodb:\*; spell out/],
    'some of a service': [policy({ Action: ['s3:Get*'], Resource: 'a' }), /s3:Get\*/],
    'all but some': [policy({ NotAction: ['iam:PassRole'], Resource: table }), /NotAction/],
    'an inline policy of a role': [
      resource('aws:iam/role:Role', {
        inlinePolicies: [{ policy: allow({ Action: '*', Resource: table }) }],
      }),
      /allows \*/,
    ],
    'a key that is open to a service': [
      policy(
        { Principal: { Service: 'logs.amazonaws.com' }, Action: 'kms:*', Resource: '*' },
        'aws:kms/key:Key',
      ),
      /kms:\*/,
    ],
  },
});
test('a document that a preview does not know is left to the update, and one that is none is an error', () => {
  expect(messagesOf(noWildcardActions, [resource(rolePolicy, { policy: unknownText })])).toEqual([]);
  expect(() => messagesOf(noWildcardActions, [resource(rolePolicy, { policy: 'none' })])).toThrow(
    /thing has a policy that is no JSON/,
  );
  expect(() => messagesOf(noWildcardActions, [resource(rolePolicy, { policy: '{}' })])).toThrow(
    /thing: policy is no policy of IAM/,
  );
});
testCases({
  policy: noUnexplainedWildcards,
  passes: {
    'an ARN with a wildcard': policy({
      Action: 'sqs:SendMessage',
      Resource: 'arn:aws:sqs:us-east-1:123456789012:mimeo-dev-*',
    }),
    'a reason': policy({
      Sid: 'TokensBelongToNoRepository',
      Action: 'ecr:GetAuthorizationToken',
      Resource: '*',
    }),
    'a key, which is itself': policy({ Principal: root, Action: 'kms:*', Resource: '*' }, 'aws:kms/key:Key'),
  },
  fails: {
    'no reason': [
      policy({ Action: 'ecr:GetAuthorizationToken', Resource: '*' }),
      /allows ecr:GetAuthorizationToken on \*/,
    ],
    'a Sid that says nothing': [policy({ Sid: 'Read', Action: 'a:B', Resource: '*' }), /say in the Sid/],
    'every queue of every account': [
      policy({ Action: 'sqs:SendMessage', Resource: 'arn:aws:sqs:*:*:*' }),
      /sqs/,
    ],
    'every resource but some': [policy({ Action: 'a:B', NotResource: table }), /NotResource/],
  },
});
const bucketPolicy = 'aws:s3/bucketPolicy:BucketPolicy';
testCases({
  policy: noPublicPrincipals,
  passes: {
    'a service': policy(
      { Principal: { Service: 'cloudfront.amazonaws.com' }, Action: 's3:GetObject', Resource: 'a' },
      bucketPolicy,
    ),
    'everybody of a source': policy(
      {
        Principal: '*',
        Action: 'sqs:SendMessage',
        Resource: 'a',
        Condition: { ArnEquals: { 'aws:SourceArn': 'a' } },
      },
      'aws:sqs/queuePolicy:QueuePolicy',
    ),
    'a denial': resource(bucketPolicy, { policy: denyPlain }),
  },
  fails: {
    everybody: [
      policy({ Principal: '*', Action: 's3:GetObject', Resource: 'a' }, bucketPolicy),
      /allows everybody s3:GetObject/,
    ],
    'everybody with TLS': [
      policy(
        {
          Principal: { AWS: '*' },
          Action: 's3:GetObject',
          Resource: 'a',
          Condition: { Bool: { 'aws:SecureTransport': 'true' } },
        },
        bucketPolicy,
      ),
      /everybody/,
    ],
    'everybody but a source': [
      policy(
        { Principal: '*', Action: 'a:B', Condition: { ArnNotEquals: { 'aws:SourceArn': 'a' } } },
        bucketPolicy,
      ),
      /everybody/,
    ],
    'a role that anybody may take on': [
      resource('aws:iam/role:Role', {
        assumeRolePolicy: allow({ Principal: { AWS: ['*'] }, Action: 'sts:AssumeRole' }),
      }),
      /sts:AssumeRole/,
    ],
  },
});
const attachment = (policyArn: string) =>
  resource('aws:iam/rolePolicyAttachment:RolePolicyAttachment', { policyArn });
testCases({
  policy: managedPolicies,
  passes: {
    "a node's": attachment('arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy'),
    "a task's": attachment('arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy'),
    'one of our own': attachment('arn:aws:iam::123456789012:policy/mine'),
    'one that a preview does not know': attachment(unknownText),
  },
  fails: {
    'an administrator': [attachment('arn:aws:iam::aws:policy/AdministratorAccess'), /AdministratorAccess/],
    'one of a role': [
      resource('aws:iam/role:Role', { managedPolicyArns: ['arn:aws:iam::aws:policy/AmazonS3FullAccess'] }),
      /AmazonS3FullAccess/,
    ],
  },
});

const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({
  type: 'pkcs8',
  format: 'pem',
});
const withVariable = (value: string) =>
  resource(lambda, { environment: { variables: { MIMEO_THING: value } } });
const harmless = {
  'an ARN': 'arn:aws:secretsmanager:us-east-1:123456789012:secret:mimeo-dev-signing-AbCdEf',
  'a URL': 'https://sqs.us-east-1.amazonaws.com/123456789012/mimeo-dev-webhooks',
  'a cache': 'rediss://mimeo-dev.serverless.use1.cache.amazonaws.com:6379',
  'an image': `123456789012.dkr.ecr.us-east-1.amazonaws.com/mimeo/runner@sha256:${'a'.repeat(64)}`,
  'a file': '/var/run/secrets/mimeo.dev/serviceaccount/token',
  'a name': 'mimeo-staging-outputs-a-name-that-goes-on-for-long-123',
  'prices as JSON': '{"gpu-t4":225}',
  'a key pair of CloudFront': 'K2JCJMDEHXQW5F',
};
testCases({
  policy: noPlainSecrets,
  passes: {
    ...Object.fromEntries(Object.entries(harmless).map(([what, value]) => [what, withVariable(value)])),
    'what a preview does not know': withVariable(unknownText),
  },
  fails: {
    'a private key': [withVariable(String(key)), /a private key in MIMEO_THING.*give its ARN/],
    'bytes in base64': [withVariable('Zm9vYmFyMTIzNDU2Nzg5MGFiY2RlZkdISUpLTE1OT1A='), /base64/],
    'bytes in hex': [withVariable(randomBytes(32).toString('hex')), /hex/],
    "AWS's own": [withVariable('AKIAIOSFODNN7EXAMPLE'), /access key/],
    'a password': [withVariable('rediss://user:hunter2@cache:6379'), /URL with a password/],
    'one of a task': [
      resource(fargate, {
        taskDefinitionArgs: { containers: { api: { environment: [{ name: 'KEY', value: key }] } } },
      }),
      /KEY/,
    ],
    'one of a task that the engine expanded': [
      resource('aws:ecs/taskDefinition:TaskDefinition', {
        containerDefinitions: JSON.stringify([{ environment: [{ name: 'KEY', value: key }] }]),
      }),
      /KEY/,
    ],
    'one of a pod': [
      resource('kubernetes:apps/v1:Deployment', {
        spec: { template: { spec: { containers: [{ env: [{ name: 'KEY', value: key }] }] } } },
      }),
      /KEY/,
    ],
  },
});

const permission = (inputs: Record<string, unknown>) => resource('aws:lambda/permission:Permission', inputs);
testCases({
  policy: privateFunctions,
  passes: {
    'a rule': permission({ principal: 'events.amazonaws.com', sourceArn: unknownText }),
    'a role': permission({ principal: 'arn:aws:iam::123456789012:role/mine' }),
  },
  fails: {
    anybody: [permission({ principal: '*' }), /lets anybody/],
    'a service for any account': [
      permission({ principal: 'events.amazonaws.com' }),
      /lets events.amazonaws.com call/,
    ],
    'a public URL': [
      resource('aws:lambda/functionUrl:FunctionUrl', { authorizationType: 'NONE' }),
      /URL that anybody/,
    ],
  },
});
const endpoint = (vpcConfig: unknown) => resource(cluster, { vpcConfig });
testCases({
  policy: privateClusterEndpoint,
  passes: {
    'known addresses': endpoint({ publicAccessCidrs: ['203.0.113.7/32'] }),
    'none of the internet': endpoint({ endpointPublicAccess: false }),
  },
  fails: {
    'the default': [endpoint({}), /whole internet/],
    everybody: [endpoint({ publicAccessCidrs: ['0.0.0.0/0'] }), /0.0.0.0\/0/],
    'what a preview does not know': [endpoint({ publicAccessCidrs: [unknownText] }), /literal blocks/],
  },
});
testCases({
  policy: clusterAccessEntries,
  passes: { entries: resource(cluster, { accessConfig: { authenticationMode: 'API' } }) },
  fails: { 'the ConfigMap': [resource(cluster, {}), /aws-auth/] },
});
const machine = (metadataOptions: unknown) => resource(launchTemplate, { metadataOptions });
testCases({
  policy: noMetadataForPods,
  passes: {
    sessions: machine({ httpTokens: 'required', httpPutResponseHopLimit: 1 }),
    none: machine({ httpEndpoint: 'disabled' }),
  },
  fails: {
    'the default': [machine(undefined), /httpTokens/],
    'two hops': [machine({ httpTokens: 'required', httpPutResponseHopLimit: 2 }), /HopLimit to 1/],
  },
});
const behavior = { trustedKeyGroups: [unknownText] };
const origins = [{ originAccessControlId: unknownText }];
testCases({
  policy: signedReads,
  passes: { 'key groups': resource(distribution, { defaultCacheBehavior: behavior, origins }) },
  fails: {
    'open reads': [resource(distribution, { defaultCacheBehavior: {}, origins }), /trustedKeyGroups/],
    'one open behavior': [
      resource(distribution, { defaultCacheBehavior: behavior, orderedCacheBehaviors: [{}], origins }),
      /trustedKeyGroups/,
    ],
    'no access control': [
      resource(distribution, { defaultCacheBehavior: behavior, origins: [{}] }),
      /originAccessControlId/,
    ],
  },
});

const group = resource('aws:ec2/securityGroup:SecurityGroup', { ingress: [] }, { name: 'group' });
const rule = (inputs: Record<string, unknown>) =>
  resource(
    'aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule',
    { securityGroupId: unknownText, ...inputs },
    { name: 'rule', needs: [group] },
  );
const open = (port: number) =>
  rule({ ipProtocol: 'tcp', fromPort: port, toPort: port, cidrIpv4: '0.0.0.0/0' });
const alb = (inputs: Record<string, unknown> = {}) =>
  resource(balancer, { securityGroups: [unknownText], ...inputs }, { name: 'alb', needs: [group] });
const inner = (ingress: unknown) =>
  resource(balancer, { defaultSecurityGroup: { args: { ingress } } }, { name: 'alb' });
const made = resource(balancer, {}, { name: 'alb' });
const everything = { protocol: '-1', fromPort: 0, toPort: 0, cidrBlocks: ['0.0.0.0/0'] };
const expandedGroup = [
  made,
  resource(
    'aws:ec2/securityGroup:SecurityGroup',
    { ingress: [everything] },
    { name: 'awsx-group', parent: made },
  ),
];
testCases({
  policy: noOpenIngress,
  passes: {
    'TLS of the balancer, while ids are unknown': [group, open(443), alb()],
    'its redirect': [group, open(80), alb()],
    'known addresses': [
      group,
      rule({ ipProtocol: 'tcp', fromPort: 22, toPort: 22, cidrIpv4: '203.0.113.0/24' }),
    ],
    'another group': [group, rule({ ipProtocol: '-1', referencedSecurityGroupId: unknownText })],
    'a way out': [
      group,
      resource('aws:ec2/securityGroupRule:SecurityGroupRule', { type: 'egress', cidrBlocks: ['0.0.0.0/0'] }),
    ],
    "the balancer's own group": inner([
      { protocol: 'tcp', fromPort: 443, toPort: 443, cidrBlocks: ['0.0.0.0/0'] },
    ]),
  },
  fails: {
    'what awsx does by itself, once the engine has made it': [
      expandedGroup,
      /awsx-group lets the whole internet in/,
    ],
    'TLS of something else': [[group, open(443)], /rule lets the whole internet in on port 443/],
    'another port of the balancer': [[group, open(8080), alb()], /port 8080/],
    IPv6: [
      [group, rule({ ipProtocol: 'tcp', fromPort: 0, toPort: 65535, cidrIpv6: '::/0' }), alb()],
      /ports 0 to 65535/,
    ],
    'every protocol': [
      [group, rule({ ipProtocol: '-1', fromPort: 443, toPort: 443, cidrIpv4: '0.0.0.0/0' }), alb()],
      /every port/,
    ],
    'a rule within a group': [
      resource('aws:ec2/securityGroup:SecurityGroup', {
        ingress: [{ protocol: 'tcp', fromPort: 22, toPort: 22, cidrBlocks: ['0.0.0.0/0'] }],
      }),
      /port 22/,
    ],
    'what awsx does by itself': [
      resource(balancer, {}, { name: 'alb' }),
      /alb lets the whole internet in on every port/,
    ],
    'a port of its own group': [
      inner([{ protocol: 'tcp', fromPort: 22, toPort: 22, cidrBlocks: ['0.0.0.0/0'] }]),
      /port 22/,
    ],
  },
});
