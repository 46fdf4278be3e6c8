import { expect, it } from 'vitest';
import type { Cluster } from '../../../infra/components/cluster.ts';
import type { Network } from '../../../infra/components/network.ts';
import type { RecordedResource, Recording } from '../../../infra/plan/record.ts';
import { parseApiEnv } from '../../../services/api/env.ts';
import {
  account,
  allowed,
  configOf,
  identity,
  known,
  ofType,
  only,
  previewParts,
  recordParts,
} from './parts.ts';

const zone = { domain: 'mimeo.example.com', hostedZoneId: 'Z0123456789ABCDEFGHIJ' };
const image = `${account}.dkr.ecr.us-east-1.amazonaws.com/mimeo-test-services/api@sha256:${'a'.repeat(64)}`;

function apiProgram(settings: Readonly<Record<string, unknown>>) {
  const config = configOf(settings);
  return async () => {
    const [{ Api }, { Table }, { Jobs }, { Outputs }, { Channel }, { Secrets }, { Registry }] =
      await Promise.all([
        import('../../../infra/components/api.ts'),
        import('../../../infra/components/table.ts'),
        import('../../../infra/components/jobs.ts'),
        import('../../../infra/components/outputs.ts'),
        import('../../../infra/components/channel.ts'),
        import('../../../infra/components/secrets.ts'),
        import('../../../infra/components/registry.ts'),
      ]);
    const gateways = { none: 0, single: 1, 'one-per-az': config.network.availabilityZones }[
      config.network.nat
    ];
    const addresses = Array.from({ length: gateways }, (_, at) => `198.51.100.${at + 1}/32`);
    const network = {
      vpcId: await known('vpc-1'),
      publicSubnetIds: await known(['public-1', 'public-2']),
      nodeSubnetIds: await known(['node-1', 'node-2']),
      storeSubnetIds: await known(['store-1', 'store-2']),
      hasPublicMachines: gateways === 0,
      egressCidrs: await known(addresses),
    } as unknown as Network;
    const cluster = {
      issuer: await known('https://oidc.eks.us-east-1.amazonaws.com/id/0123'),
      securityGroupId: await known('sg-cluster'),
    } as unknown as Cluster;
    const { api, protection, outputs, channel, registry } = config;
    const isProtected = protection.deletion;
    const made = new Api('api', {
      identity,
      config,
      network,
      cluster,
      table: new Table('table', { identity, protection }),
      jobs: new Jobs('jobs', { identity }),
      outputs: new Outputs('outputs', {
        identity,
        settings: outputs,
        corsOrigins: api.corsOrigins,
        isProtected,
      }),
      channel: new Channel('channel', { identity, network, settings: channel }),
      secrets: new Secrets('secrets', { identity, isProtected: false }),
      registry: new Registry('registry', { identity, settings: registry }),
      image: await known(image),
    });
    return {
      url: made.url,
      fleetUrl: made.fleetUrl,
      environment: made.environment,
      service: made.serviceName,
    };
  };
}

const recordApi = (settings: Readonly<Record<string, unknown>> = {}) => recordParts(apiProgram(settings));

const ingress = (recording: Recording<unknown>, groupPart: string) =>
  ofType(recording, 'aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule')
    .filter(({ inputs }) => String(inputs.securityGroupId).includes(groupPart))
    .map(({ inputs }) => `${inputs.cidrIpv4 ?? inputs.referencedSecurityGroupId} ${inputs.fromPort}`)
    .sort();

const service = (recording: Recording<unknown>): RecordedResource =>
  only(recording, 'awsx:ecs:FargateService');

interface Container {
  readonly environment: readonly { readonly name: string; readonly value: string }[];
}

function containerOf(recording: Recording<unknown>): Container {
  const definition = service(recording).inputs.taskDefinitionArgs as { containers: { api: Container } };
  return definition.containers.api;
}

it('with a zone the api has a certificate that is proved there, a name, and TLS with a redirect to it', async () => {
  const recording = await recordApi({ network: { nat: 'single' }, api: zone });

  expect(recording.result).toMatchObject({
    url: 'https://mimeo.example.com',
    fleetUrl: 'https://mimeo.example.com',
  });
  const certificate = only(recording, 'aws:acm/certificate:Certificate');
  expect(certificate.inputs).toMatchObject({ domainName: zone.domain, validationMethod: 'DNS' });
  const records = ofType(recording, 'aws:route53/record:Record').map(({ inputs }) => [
    inputs.type,
    inputs.name,
  ]);
  expect(records.sort()).toEqual([
    ['A', 'mimeo.example.com'],
    ['CNAME', '_proof.mimeo.example.com.'],
  ]);
  expect(only(recording, 'awsx:lb:ApplicationLoadBalancer').inputs).toMatchObject({
    idleTimeout: 120,
    dropInvalidHeaderFields: true,
    defaultSecurityGroup: { skip: true },
    listeners: [
      {
        port: 443,
        protocol: 'HTTPS',
        certificateArn: certificate.outputs.arn,
        sslPolicy: 'ELBSecurityPolicy-TLS13-1-2-2021-06',
      },
      { port: 80, defaultActions: [{ type: 'redirect', redirect: { protocol: 'HTTPS', port: '443' } }] },
    ],
    defaultTargetGroup: {
      targetType: 'ip',
      deregistrationDelay: 110,
      loadBalancingAlgorithmType: 'least_outstanding_requests',
      healthCheck: { path: '/readyz' },
    },
  });
});

it('a certificate by its ARN is taken, and the name is left to whoever has the zone', async () => {
  const certificateArn = `arn:aws:acm:us-east-1:${account}:certificate/mine`;

  const recording = await recordApi({ api: { domain: zone.domain, certificateArn } });

  expect(recording.result.url).toBe('https://mimeo.example.com');
  expect(recording.resources.filter(({ type }) => /acm|route53/.test(type))).toEqual([]);
  expect(only(recording, 'awsx:lb:ApplicationLoadBalancer').inputs.listeners).toMatchObject([
    { port: 443, certificateArn },
    { port: 80 },
  ]);
});

it('the balancer lets in who may call, and the cluster by its gateways’ addresses on the port that serves', async () => {
  const recording = await recordApi({
    network: { nat: 'one-per-az', availabilityZones: 3 },
    api: { ...zone, allowedCidrs: ['203.0.113.0/24'] },
  });

  expect(ingress(recording, 'entry-group')).toEqual([
    '198.51.100.1/32 443',
    '198.51.100.2/32 443',
    '198.51.100.3/32 443',
    '203.0.113.0/24 443',
    '203.0.113.0/24 80',
  ]);
  expect(ingress(recording, 'api-tasks')).toEqual(['api-entry-group-id 8080']);
});

it('where machines have addresses of their own, the fleet calls tasks by a name inside the network', async () => {
  const recording = await recordApi({
    network: { nat: 'none' },
    api: { allowedCidrs: ['203.0.113.7/32'] },
  });

  expect(recording.result.url).toMatch(/^http:\/\/mimeo-test-\d+\.us-east-1\.elb\.amazonaws\.com$/);
  expect(recording.result.fleetUrl).toBe('http://api.mimeo-test.internal:8080');
  expect(only(recording, 'awsx:lb:ApplicationLoadBalancer').inputs.listeners).toEqual([
    { port: 80, protocol: 'HTTP' },
  ]);
  expect(ingress(recording, 'entry-group')).toEqual(['203.0.113.7/32 80']);
  expect(ingress(recording, 'api-tasks')).toEqual(['api-entry-group-id 8080', 'sg-cluster 8080']);
  expect(service(recording).inputs).toMatchObject({
    networkConfiguration: { assignPublicIp: true },
    serviceRegistries: { registryArn: expect.stringContaining('servicediscovery') },
  });
});

it('behind NAT tasks have no addresses and no name of their own', async () => {
  const recording = await recordApi({ network: { nat: 'single' }, api: zone });

  expect(recording.resources.filter(({ type }) => type.includes('servicediscovery'))).toEqual([]);
  expect(service(recording).inputs).toMatchObject({
    networkConfiguration: { assignPublicIp: false, subnets: ['node-1', 'node-2'] },
  });
});

it('tasks are arm64, write nothing, are nobody, roll back by themselves and have time to end', async () => {
  const recording = await recordApi({ api: { ...zone, min: 2, max: 8, cpu: 512, memory: 1024 } });

  expect(service(recording).inputs).toMatchObject({
    desiredCount: 2,
    deploymentCircuitBreaker: { enable: true, rollback: true },
    taskDefinitionArgs: {
      cpu: '512',
      memory: '1024',
      runtimePlatform: { cpuArchitecture: 'ARM64' },
      taskRole: { roleArn: `arn:aws:iam::${account}:role/mimeo-test-api` },
      executionRole: { roleArn: `arn:aws:iam::${account}:role/mimeo-test-api-start` },
    },
  });
  expect(containerOf(recording)).toMatchObject({
    image,
    user: '1000:1000',
    readonlyRootFilesystem: true,
    linuxParameters: { capabilities: { drop: ['ALL'] } },
    stopTimeout: 120,
    logConfiguration: { logDriver: 'awslogs', options: { 'awslogs-group': 'mimeo-test-api' } },
  });
  expect(only(recording, 'aws:cloudwatch/logGroup:LogGroup').inputs.retentionInDays).toBe(14);
  expect(only(recording, 'aws:appautoscaling/target:Target').inputs).toMatchObject({
    minCapacity: 2,
    maxCapacity: 8,
    resourceId: `service/mimeo-test-api/${recording.result.service}`,
  });
  expect(
    only(recording, 'aws:appautoscaling/policy:Policy').inputs.targetTrackingScalingPolicyConfiguration,
  ).toMatchObject({
    targetValue: 3000,
    predefinedMetricSpecification: {
      predefinedMetricType: 'ALBRequestCountPerTarget',
      resourceLabel: expect.stringMatching(/^app\/.+\/targetgroup\/.+/),
    },
  });
});

it('its environment is one that the api reads, with every secret named by its ARN', async () => {
  const recording = await recordApi({
    api: { ...zone, corsOrigins: ['https://app.example.com'], retentionSeconds: 60 },
    prices: { 'gpu-t4': 300 },
  });

  const given = Object.fromEntries(
    containerOf(recording).environment.map(({ name, value }) => [name, value]),
  );
  expect(given).toEqual({ AWS_REGION: 'us-east-1', ...recording.result.environment });
  const secrets = Object.keys(given).filter((name) => given[name]?.startsWith('arn:aws:secretsmanager:'));
  expect(secrets.sort()).toEqual([
    'MIMEO_CLOUDFRONT_PRIVATE_KEY',
    'MIMEO_FIRST_TOKEN_SECRET_ARN',
    'MIMEO_SIGNING_KEY',
  ]);
  const resolved = { ...given, MIMEO_SIGNING_KEY: Buffer.alloc(32, 1).toString('base64') };
  expect(parseApiEnv(resolved)).toMatchObject({
    MIMEO_TABLE: 'mimeo-test',
    MIMEO_QUEUE_PREFIX: 'mimeo-test-jobs-',
    MIMEO_PUBLIC_URL: 'https://mimeo.example.com',
    MIMEO_PUSH_ROLE_ARN: `arn:aws:iam::${account}:role/mimeo-test-push`,
    MIMEO_CORS_ORIGINS: ['https://app.example.com'],
    MIMEO_PRICES: { 'gpu-t4': 300 },
    MIMEO_RETENTION_SECONDS: 60,
    MIMEO_CLUSTER_ISSUER: 'https://oidc.eks.us-east-1.amazonaws.com/id/0123',
    MIMEO_DIRECTOR_SERVICE_ACCOUNT: 'mimeo:director',
  });
  expect(parseApiEnv(resolved).MIMEO_DRAIN_SECONDS).toBeLessThan(120);
});

it('its role may use the stores and hand out logins; what starts it may fetch its image and write its log', async () => {
  const recording = await recordApi({ api: zone });

  const granted = ofType(recording, 'aws:iam/rolePolicy:RolePolicy')
    .filter(({ inputs }) => inputs.role === 'mimeo-test-api')
    .map(({ name }) => name);
  expect(granted.sort()).toEqual([
    'jobs-use-api-task',
    'outputs-read-write-api-task',
    'registry-login-api-task',
    'secrets-first-token-api-task',
    'secrets-signing-key-api-task',
    'table-items-api-task',
  ]);
  const repository = `arn:aws:ecr:us-east-1:${account}:repository/mimeo-test-services/api`;
  const logs = 'arn:aws:cloudwatch:us-east-1:123456789012:mimeo-test-api:*';
  expect(allowed(recording, 'api-start-policy-api-start')).toEqual([
    `ecr:BatchCheckLayerAvailability ${repository}`,
    `ecr:BatchGetImage ${repository}`,
    'ecr:GetAuthorizationToken *',
    `ecr:GetDownloadUrlForLayer ${repository}`,
    `logs:CreateLogStream ${logs}`,
    `logs:PutLogEvents ${logs}`,
  ]);
});

it('a protected api’s balancer refuses to be deleted', async () => {
  const recording = await recordApi({ api: zone, protection: { deletion: true } });

  expect(only(recording, 'awsx:lb:ApplicationLoadBalancer').inputs.enableDeletionProtection).toBe(true);
});

it('a preview, which knows no outputs, plans the same resources', async () => {
  const settings = { network: { nat: 'single' }, api: zone };
  const names = ({ resources }: Recording<unknown>) =>
    resources.map(({ type, name }) => `${type} ${name}`).sort();

  expect(names(await previewParts(apiProgram(settings)))).toEqual(names(await recordApi(settings)));
});
