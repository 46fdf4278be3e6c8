import { createPublicKey } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ECRClient, GetAuthorizationTokenCommand } from '@aws-sdk/client-ecr';
import type { runtime } from '@pulumi/pulumi';
import type { StackConfig } from '../../../infra/config.ts';
import { mockResource } from '../../../infra/plan/mock-outputs.ts';
import { type Recording, record } from '../../../infra/plan/record.ts';
import type { StackOutputs } from '../../../infra/stack.ts';
import { createS3Client } from '../../../services/ports/objects/s3.ts';
import { createSqsClient } from '../../../services/ports/queue/sqs.ts';
import { createDynamoClient } from '../../../services/ports/table/dynamodb.ts';
import { startBalancer } from '../balancer.ts';
import { makeCertificate } from '../certificate.ts';
import { makeFleetHome, removeFleetHome } from '../cloud.ts';
import { startDistribution } from '../cloudfront.ts';
import { type EmulatedAws, startEmulatedAws } from '../emulated-aws.ts';
import { startRegistry, type TestRegistry } from '../registry.ts';
import { type ServiceProcess, startService } from '../service-process.ts';
import { startValkey } from '../valkey.ts';
import type { Place } from './aws-calls.ts';
import { type AwsRecorder, startAwsRecorder } from './aws-recorder.ts';
import { type BoxFunctions, startFunctions } from './box-functions.ts';
import { startClusterKeys } from './cluster-keys.ts';
import { type Clients, createProvisioner, type Provisioner } from './provision.ts';
import { type DeclaredService, declaredApi, ofType } from './recorded-env.ts';

const account = '123456789012';
/** The director's, as the stack names it. */
const directorAccount = 'mimeo:director';

/** A whole stack, provisioned in the emulated cloud, with its services running as the stack says. */
export interface Box {
  readonly url: string;
  readonly place: Place;
  readonly aws: EmulatedAws;
  readonly clients: Clients;
  readonly recording: Recording<StackOutputs>;
  readonly provisioner: Provisioner;
  readonly functions: BoxFunctions;
  /** What services asked of AWS, by the ARN of the role that they have. */
  readonly doors: ReadonlyMap<string, AwsRecorder>;
  /** The folder of the director's fleet. */
  readonly home: string;
  readonly apis: readonly ServiceProcess[];
  /** Stands where ECR keeps images. */
  readonly registry: TestRegistry;
  /** The file of the certificate that clients have to trust for files. */
  readonly certificate: string;
  /** Stops the services; what was provisioned stays until `provisioner.destroy`. */
  stopServices(): Promise<void>;
  close(): Promise<void>;
}

/** Runs the program of a configuration against the emulated cloud, and starts what it declares from the bundles. */
export async function startBox(config: StackConfig, bundles: string): Promise<Box> {
  const closers: (() => unknown)[] = [];
  const close = async () => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    return await compose(config, bundles, closers, close);
  } catch (error) {
    await close();
    throw error;
  }
}

async function compose(
  config: StackConfig,
  bundles: string,
  closers: (() => unknown)[],
  close: () => Promise<void>,
): Promise<Box> {
  const place: Place = { account, region: config.region };
  const closing = <T extends { close(): unknown }>(part: T): T => {
    closers.push(() => part.close());
    return part;
  };
  const aws = await startEmulatedAws();
  closers.push(() => aws.stop());
  const tls = await makeCertificate();
  closers.push(() => tls.remove());
  const valkey = await startValkey(tls);
  closers.push(() => valkey.stop());
  const balancer = closing(await startBalancer());
  const distribution = closing(await startDistribution());
  const cluster = closing(await startClusterKeys());
  const registry = closing(await startRegistry(await registryPassword(aws, place)));
  const client = { ...aws.client, region: place.region };
  const clients: Clients = {
    dynamo: createDynamoClient(client),
    s3: createS3Client({ ...client, forcePathStyle: true }),
    sqs: createSqsClient(client),
  };
  closers.push(() => Object.values(clients).map((one: { destroy(): void }) => one.destroy()));

  const provisioner = createProvisioner(aws, clients, place, (args) =>
    standIn(args, {
      balancer: new URL(balancer.url).host,
      valkeyPort: valkey.port,
      files: new URL(distribution.env.MIMEO_CLOUDFRONT_URL ?? '').host,
      issuer: cluster.issuer,
    }),
  );
  const recording = await record(
    async () => {
      const { createStack } = await import('../../../infra/stack.ts');
      return createStack({ config, bundles });
    },
    { project: config.project, environment: config.environment, create: provisioner.create },
  );
  const { resources } = recording;
  const [publicKey] = ofType(resources, 'aws:cloudfront/publicKey:PublicKey');
  if (publicKey) {
    const key = createPublicKey(String(publicKey.inputs.encodedKey));
    distribution.signer = { keyPairId: String(publicKey.outputs.id), publicKey: key };
  }
  const api = declaredApi(resources);
  distribution.origin = `${aws.client.endpoint}/${api.env.MIMEO_BUCKET}`;

  const doors = new Map<string, AwsRecorder>();
  const runtimeEnv = async (roleArn: string, { env }: DeclaredService) => {
    const door = doors.get(roleArn) ?? closing(await startAwsRecorder(aws.client.endpoint, place));
    doors.set(roleArn, door);
    // The SDK goes to a queue by the queue's own address, which in the box is past the door.
    const doorway = ([name, value]: [string, string]) =>
      value.startsWith(aws.client.endpoint)
        ? [[name, value.replace(aws.client.endpoint, door.endpoint)]]
        : [];
    return {
      ...Object.fromEntries(Object.entries(env).flatMap(doorway)),
      AWS_ENDPOINT_URL: door.endpoint,
      AWS_REGION: place.region,
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test',
      NODE_EXTRA_CA_CERTS: tls.certificate,
    };
  };
  const functions = await startFunctions({
    resources,
    bundles,
    place,
    endpoint: aws.client.endpoint,
    dynamo: clients.dynamo,
    sqs: clients.sqs,
    runtimeEnv: async (declared) => ({
      ...(await runtimeEnv(declared.roleArn, declared)),
      // ECR's own address leads to AWS.
      ...(declared.service === 'registrar' && { MIMEO_REGISTRY_URL: registry.url }),
    }),
  });
  closers.push(() => functions.stop());
  const apis: ServiceProcess[] = [];
  closers.push(async () => Promise.all(apis.map((one) => (one.isRunning ? one.kill() : undefined))));
  const roleOfApi = apiRole(resources);
  for (let started = 0; started < 2; started += 1) {
    // Two of them cannot have one port on one machine.
    const env = {
      ...api.env,
      ...(await runtimeEnv(roleOfApi, api)),
      MIMEO_PORT: '0',
      MIMEO_HOST: '127.0.0.1',
    };
    apis.push(await startService(join(bundles, 'api/main.mjs'), env, 'the api is ready', '/'));
  }
  balancer.use(apis.map(({ ready }) => `http://127.0.0.1:${ready.port}`));

  const home = await makeFleetHome();
  closers.push(() => removeFleetHome(home));
  const tokenFile = join(home, 'director-token');
  await writeFile(tokenFile, cluster.token(directorAccount, 'mimeo'));
  const director = await startService(
    'services/director/main.ts',
    {
      MIMEO_URL: balancer.url,
      MIMEO_DIRECTOR_TOKEN_FILE: tokenFile,
      MIMEO_HOME: home,
      MIMEO_MAX_INSTANCES: '3',
      MIMEO_DRAIN_GRACE_SECONDS: '1',
      // Models fetch their inputs from where the distribution stands.
      REQUESTS_CA_BUNDLE: distribution.certificate,
      SSL_CERT_FILE: distribution.certificate,
    },
    'the director is ready',
  );
  closers.push(() => (director.isRunning ? director.stop() : undefined));
  return {
    url: balancer.url,
    place,
    aws,
    clients,
    recording,
    provisioner,
    functions,
    doors,
    home,
    apis,
    registry,
    certificate: distribution.certificate,
    async stopServices() {
      await director.stop();
      await Promise.all(apis.map(async (one) => one.stop()));
      await functions.stop();
    },
    close,
  };
}

/** What ECR gives whoever logs in. */
async function registryPassword(aws: EmulatedAws, { region }: Place): Promise<string> {
  const ecr = new ECRClient({ ...aws.client, region });
  const { authorizationData } = await ecr.send(new GetAuthorizationTokenCommand({}));
  ecr.destroy();
  const token = Buffer.from(authorizationData?.[0]?.authorizationToken ?? '', 'base64').toString();
  return token.slice('AWS:'.length);
}

/** The ARN of the role that the api's tasks have. */
function apiRole(resources: Recording<StackOutputs>['resources']): string {
  const [service] = ofType(resources, 'awsx:ecs:FargateService');
  const definition = service?.inputs.taskDefinitionArgs as { taskRole?: { roleArn?: string } } | undefined;
  const arn = definition?.taskRole?.roleArn;
  if (arn === undefined) throw new Error('The api has no role');
  return arn;
}

/** What cannot be made really, as it is here: names that AWS would give lead to this machine. */
function standIn(
  args: runtime.MockResourceArgs,
  here: {
    readonly balancer: string;
    readonly valkeyPort: number;
    readonly files: string;
    readonly issuer: string;
  },
): runtime.MockResourceResult {
  const { id, state } = mockResource(args);
  const more: Readonly<Record<string, object>> = {
    'awsx:lb:ApplicationLoadBalancer': {
      loadBalancer: { ...state.loadBalancer, dnsName: here.balancer },
    },
    'aws:elasticache/serverlessCache:ServerlessCache': {
      endpoints: [{ address: '127.0.0.1', port: here.valkeyPort }],
    },
    'aws:cloudfront/distribution:Distribution': { domainName: here.files },
    'aws:eks/cluster:Cluster': { identities: [{ oidcs: [{ issuer: here.issuer }] }] },
  };
  return { id, state: { ...state, ...more[args.type] } };
}
