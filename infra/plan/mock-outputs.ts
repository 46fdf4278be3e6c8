import type { runtime } from '@pulumi/pulumi';
import { controlPlaneOutputs } from './mock-control-plane.ts';

/** An account that there is not. */
const account = '123456789012';

/** Answers for a resource as AWS would, in form: its inputs, an id, an ARN and what else programs read of its kind. */
export function mockResource({
  type,
  name,
  inputs,
  id,
}: runtime.MockResourceArgs): runtime.MockResourceResult {
  const given = inputs as Readonly<Record<string, unknown>>;
  assertDescription(type, given.description);
  const called = text(given.name) ?? text(given.bucket) ?? text(given.clusterName) ?? name;
  const more = special[type]?.(called, given) ?? {};
  const arn = `arn:aws:${serviceOf(type)}:us-east-1:${account}:${called}`;
  return { id: id || text(more.id) || `${name}-id`, state: { ...given, name: called, arn, ...more } };
}

/** What EC2 takes of a group's or a rule's description. Source: EC2, CreateSecurityGroup, "GroupDescription". */
const groupDescription = /^[a-zA-Z0-9. _\-:/()#,@[\]+=&;{}!$*]{0,255}$/;

/** @throws Error where EC2 would refuse it */
function assertDescription(type: string, description: unknown): void {
  if (!/securityGroup(Ingress|Egress)?(Rule)?:/i.test(type) || description === undefined) return;
  if (!groupDescription.test(String(description))) {
    throw new Error(`EC2 takes no such description of a security group: ${String(description)}`);
  }
}

/** Answers for a data source. */
export function mockCall({ token, inputs }: runtime.MockCallArgs): runtime.MockCallResult {
  const given = inputs as Readonly<Record<string, unknown>>;
  return answers[token]?.(given) ?? given;
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** `aws:sqs/queue:Queue` → sqs */
function serviceOf(type: string): string {
  return type.split(':')[1]?.split('/')[0] ?? 'aws';
}

type Outputs = Readonly<Record<string, unknown>>;

const answers: Readonly<Record<string, (given: Outputs) => Record<string, unknown>>> = {
  'aws:index/getCallerIdentity:getCallerIdentity': () => ({
    accountId: account,
    arn: `arn:aws:iam::${account}:user/plan`,
    userId: 'AIDAPLAN',
  }),
  'aws:iam/getSessionContext:getSessionContext': ({ arn }) => ({
    id: arn,
    arn,
    issuerArn: arn,
    issuerId: '',
    issuerName: '',
    sessionName: '',
  }),
  'aws:index/getPartition:getPartition': () => ({ partition: 'aws', dnsSuffix: 'amazonaws.com' }),
};

/** What some kinds have beside their inputs, an id and an ARN. */
const special: Readonly<Record<string, (called: string, given: Outputs) => Outputs>> = {
  ...controlPlaneOutputs(account),
  'aws:iam/role:Role': (called) => ({ id: called, arn: `arn:aws:iam::${account}:role/${called}` }),
  'aws:s3/bucket:Bucket': (called) => ({
    id: called,
    arn: `arn:aws:s3:::${called}`,
    bucket: called,
    bucketRegionalDomainName: `${called}.s3.us-east-1.amazonaws.com`,
  }),
  'aws:dynamodb/table:Table': (called) => ({
    id: called,
    arn: `arn:aws:dynamodb:us-east-1:${account}:table/${called}`,
    streamArn: `arn:aws:dynamodb:us-east-1:${account}:table/${called}/stream/2026-01-01T00:00:00.000`,
  }),
  'aws:sqs/queue:Queue': (called) => {
    const url = `https://sqs.us-east-1.amazonaws.com/${account}/${called}`;
    return { id: url, url, arn: `arn:aws:sqs:us-east-1:${account}:${called}` };
  },
  'aws:lambda/function:Function': (called) => ({
    id: called,
    arn: `arn:aws:lambda:us-east-1:${account}:function:${called}`,
  }),
  'aws:lambda/eventSourceMapping:EventSourceMapping': () => ({
    uuid: '00000000-0000-0000-0000-000000000000',
  }),
  'aws:elasticache/serverlessCache:ServerlessCache': (called) => ({
    id: called,
    endpoints: [{ address: `${called}.serverless.use1.cache.amazonaws.com`, port: 6379 }],
    readerEndpoints: [{ address: `${called}.serverless.use1.cache.amazonaws.com`, port: 6380 }],
  }),
  'aws:eks/cluster:Cluster': (called, inputs) => ({
    id: called,
    arn: `arn:aws:eks:us-east-1:${account}:cluster/${called}`,
    endpoint: 'https://0123456789ABCDEF.gr7.us-east-1.eks.amazonaws.com',
    certificateAuthority: { data: Buffer.from('a certificate').toString('base64') },
    identities: [{ oidcs: [{ issuer: 'https://oidc.eks.us-east-1.amazonaws.com/id/0123456789ABCDEF' }] }],
    vpcConfig: { ...(inputs.vpcConfig as object), clusterSecurityGroupId: `${called}-sg` },
  }),
  'aws:ec2/launchTemplate:LaunchTemplate': (called) => ({ id: `lt-${called}`, latestVersion: 1 }),
  'aws:eks/nodeGroup:NodeGroup': (called, { nodeGroupName }) => {
    const nodes = text(nodeGroupName) ?? called;
    const resources = [
      { autoscalingGroups: [{ name: `eks-${nodes}-asg` }], remoteAccessSecurityGroupId: '' },
    ];
    return { id: `${called}:${nodes}`, nodeGroupName: nodes, resources };
  },
  'aws:cloudfront/distribution:Distribution': () => ({
    domainName: 'd111111abcdef8.cloudfront.net',
    arn: `arn:aws:cloudfront::${account}:distribution/E111111ABCDEF8`,
  }),
  'awsx:ec2:Vpc': (called, inputs) => {
    const zones = Number(inputs.numberOfAvailabilityZones ?? 2);
    const each = (kind: string) => Array.from({ length: zones }, (_, at) => `${called}-${kind}-${at + 1}`);
    return {
      vpcId: `${called}-vpc`,
      publicSubnetIds: each('public'),
      privateSubnetIds: each('private'),
      isolatedSubnetIds: each('isolated'),
      eips: each('eip').map((id, at) => ({ id, publicIp: `198.51.100.${at + 1}` })),
      routeTables: [],
    };
  },
};
