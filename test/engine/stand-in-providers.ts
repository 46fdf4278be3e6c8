import type { ServerUnaryCall, sendUnaryData, UntypedServiceImplementation } from '@grpc/grpc-js';
import type * as pb from '@pulumi/pulumi/proto/provider_pb.js';
import { mockCall } from '../../infra/plan/mock-outputs.ts';
import { changedProperties, type Properties, plainProperties, unknownValue } from './property-values.ts';
import {
  Empty,
  fromStruct,
  grpc,
  messages,
  pluginMessages,
  provider,
  type StructMessage,
  toStruct,
} from './protocol.ts';
import { constructComponent } from './remote-components.ts';
import { type Change, describe, StandInCloud, type Standing } from './stand-in-cloud.ts';

/** Packages of Pulumi's that they stand in for. */
const packages = ['aws', 'awsx', 'kubernetes', 'docker-build'];

/**
 * What cannot be changed of a thing that stands, so that another is made in its place: its name, above all.
 * Source: "forces replacement" in the providers' schemas.
 */
const fixedProperties: readonly string[] = [
  'name',
  'bucket',
  'clusterName',
  'nodeGroupName',
  'cidrBlock',
  'vpcId',
  'instanceTypes',
  'capacityType',
  'amiType',
  'hashKey',
  'rangeKey',
  'encodedKey',
  'encryptionConfig',
  'principalArn',
  'autoscalingGroupName',
  'securityGroupId',
  'targetType',
  'roleRef',
];

/** Kinds of which nothing at all can be changed. */
const fixedTypes: readonly string[] = ['aws:ecs/taskDefinition:TaskDefinition'];

/** The providers that the engine is given in place of those that speak to AWS and Kubernetes. */
export interface StandInProviders {
  /** By which the engine finds them. */
  readonly environment: Readonly<Record<string, string>>;
  /** What there is now. */
  readonly standing: readonly Standing[];
  /** All that was done, in order. */
  readonly changes: readonly Change[];
  /** Makes an operation on one type of resource fail, as a cloud does that refuses; until `allow`. */
  refuse(operation: Change['operation'], type: string, message: string): void;
  allow(): void;
  /** Changes inputs of a resource behind the program's back, for whoever reads it anew. */
  drift(name: string, inputs: Properties): void;
  /** Takes away the cluster with all that is in it, behind the program's back. */
  loseCluster(environment?: Readonly<Record<string, string>>): void;
  stop(): void;
}

/** Starts them on a free port of loopback, with nothing standing. */
export async function startStandInProviders(): Promise<StandInProviders> {
  const cloud = new StandInCloud();
  const server = new grpc.Server();
  server.addService(provider.ResourceProviderService, serviceOf(cloud));
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  return {
    environment: { PULUMI_DEBUG_PROVIDERS: packages.map((name) => `${name}:${port}`).join(',') },
    standing: cloud.standing,
    changes: cloud.changes,
    refuse: (operation, type, message) => cloud.refused.set(`${operation} ${type}`, message),
    allow: () => cloud.refused.clear(),
    drift: (name, inputs) => cloud.drift(name, inputs),
    loseCluster: (environment = {}) => cloud.loseCluster(environment),
    stop: () => server.forceShutdown(),
  };
}

/** What was given as a secret is said as one. */
function withSecrets(given: Properties, state: Properties): Properties {
  const changed = changedProperties(plainProperties(given), state);
  const same = Object.entries(given).filter(([name]) => !changed.includes(name));
  return { ...state, ...Object.fromEntries(same) };
}

type Handler<Request, Response> = (request: Request) => Response | Promise<Response>;

/** A unary call that answers with what `handle` gives, or fails with what it throws. */
function unary<Request, Response>(handle: Handler<Request, Response>) {
  return (call: ServerUnaryCall<Request, Response>, callback: sendUnaryData<Response>): void => {
    Promise.resolve(call.request)
      .then(handle)
      .then(
        (response) => callback(null, response),
        (error: unknown) =>
          callback({
            code: grpc.status.UNKNOWN,
            message: error instanceof Error ? error.message : String(error),
          }),
      );
  };
}

function serviceOf(cloud: StandInCloud): UntypedServiceImplementation {
  return {
    handshake: unary(() =>
      new messages.ProviderHandshakeResponse()
        .setAcceptSecrets(true)
        .setAcceptResources(true)
        .setAcceptOutputs(true),
    ),
    attach: unary(() => new Empty()),
    cancel: unary(() => new Empty()),
    // The engine warns of one that is older than a package that asks for it.
    getPluginInfo: unary(() => new pluginMessages.PluginInfo().setVersion('1000.0.0')),
    getSchema: unary(() => new messages.GetSchemaResponse().setSchema('{}')),
    checkConfig: unary(check),
    diffConfig: unary(diff),
    configure: unary((request: pb.ConfigureRequest) => {
      cloud.configure(plainProperties(fromStruct(request.getArgs())));
      return new messages.ConfigureResponse()
        .setSupportspreview(true)
        .setAcceptsecrets(true)
        .setAcceptresources(true)
        .setAcceptoutputs(true);
    }),
    check: unary(check),
    diff: unary(diff),
    create: unary((request: pb.CreateRequest) => {
      const inputs = fromStruct(request.getProperties());
      const { id, state } = cloud.create(request.getUrn(), plainProperties(inputs), request.getPreview());
      return new messages.CreateResponse().setId(id).setProperties(toStruct(withSecrets(inputs, state)));
    }),
    update: unary((request: pb.UpdateRequest) => {
      const inputs = fromStruct(request.getNews());
      const state = cloud.update(
        request.getUrn(),
        request.getId(),
        plainProperties(inputs),
        request.getPreview(),
      );
      return new messages.UpdateResponse().setProperties(toStruct(withSecrets(inputs, state)));
    }),
    delete: unary((request: pb.DeleteRequest) => {
      cloud.remove(request.getUrn(), request.getId());
      return new Empty();
    }),
    read: unary((request: pb.ReadRequest) => {
      const found = (known: StructMessage | undefined) =>
        toStruct(cloud.read(request.getUrn(), fromStruct(known)));
      return new messages.ReadResponse()
        .setId(request.getId())
        .setProperties(found(request.getProperties()))
        .setInputs(found(request.getInputs()));
    }),
    invoke: unary((request: pb.InvokeRequest) => {
      const inputs = { ...plainProperties(fromStruct(request.getArgs())) };
      const answer = mockCall({ token: request.getTok(), inputs }) as Properties;
      return new messages.InvokeResponse().setReturn(toStruct(answer));
    }),
    construct: unary((request: pb.ConstructRequest) => construct(cloud, request)),
  };
}

function check(request: pb.CheckRequest): pb.CheckResponse {
  return new messages.CheckResponse().setInputs(request.getNews());
}

function diff(request: pb.DiffRequest): pb.DiffResponse {
  const before = plainProperties(fromStruct(request.getOldInputs() ?? request.getOlds()));
  const after = plainProperties(fromStruct(request.getNews()));
  const changed = changedProperties(before, after).filter(
    (name) => !request.getIgnorechangesList().includes(name),
  );
  const { DIFF_NONE, DIFF_SOME } = messages.DiffResponse.DiffChanges;
  return new messages.DiffResponse()
    .setChanges(changed.length === 0 ? DIFF_NONE : DIFF_SOME)
    .setDiffsList([...changed])
    .setReplacesList(fixedAmong(changed, request.getUrn()));
}

function fixedAmong(changed: readonly string[], urn: string): string[] {
  const isFixed = fixedTypes.some((type) => urn.includes(`${type}::`));
  return changed.filter((name) => isFixed || fixedProperties.includes(name));
}

async function construct(cloud: StandInCloud, request: pb.ConstructRequest): Promise<pb.ConstructResponse> {
  const inputs = plainProperties(fromStruct(request.getInputs()));
  const { state } = describe(request.getType(), request.getName(), inputs);
  const unknown = Object.fromEntries(Object.keys(state).map((key) => [key, unknownValue]));
  const isPreview = request.getDryrun();
  const answer = await constructComponent(request, (urn) =>
    isPreview && !cloud.components.has(urn) ? unknown : state,
  );
  if (!isPreview) cloud.components.add(answer.urn);
  return new messages.ConstructResponse().setUrn(answer.urn).setState(toStruct(answer.state));
}
