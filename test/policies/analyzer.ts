import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { policyHostEnvironment } from '../../infra/cli/policy-pack.ts';
import type { RecordedResource } from '../../infra/plan/record.ts';

// The very packages that the pack's process has: messages of another copy are refused.
const load = createRequire(createRequire(import.meta.url).resolve('@pulumi/pulumi'));
const grpc = load('@grpc/grpc-js') as typeof import('@grpc/grpc-js');
const { Struct } = load(
  'google-protobuf/google/protobuf/struct_pb',
) as typeof import('google-protobuf/google/protobuf/struct_pb.js');
const { Empty } = load(
  'google-protobuf/google/protobuf/empty_pb',
) as typeof import('google-protobuf/google/protobuf/empty_pb.js');
const messages = load(
  '@pulumi/pulumi/proto/analyzer_pb',
) as typeof import('@pulumi/pulumi/proto/analyzer_pb.js');
const { AnalyzerClient } = load('@pulumi/pulumi/proto/analyzer_grpc_pb') as {
  AnalyzerClient: new (address: string, credentials: unknown) => Client;
};

type Call<In, Out> = (request: In, callback: (error: Error | null, response: Out) => void) => void;
type Message<Name extends keyof typeof messages> = (typeof messages)[Name] extends new () => infer Made
  ? Made
  : never;

interface Client {
  getAnalyzerInfo: Call<object, Message<'AnalyzerInfo'>>;
  configure: Call<Message<'ConfigureAnalyzerRequest'>, object>;
  configureStack: Call<Message<'AnalyzerStackConfigureRequest'>, object>;
  analyze: Call<Message<'AnalyzeRequest'>, Message<'AnalyzeResponse'>>;
  analyzeStack: Call<Message<'AnalyzeStackRequest'>, Message<'AnalyzeResponse'>>;
  close(): void;
}

/** What the engine is told. */
export interface Diagnostic {
  readonly policy: string;
  readonly urn: string;
  readonly message: string;
  readonly isMandatory: boolean;
}

/** A pack in a process of its own, started as Pulumi's language host starts it and asked as its engine asks. */
export class Analyzer {
  readonly #process: ChildProcess;
  readonly #client: Client;

  private constructor(process: ChildProcess, client: Client) {
    this.#process = process;
    this.#client = client;
  }

  /** @param folder of PulumiPolicy.yaml */
  static async start(folder: string): Promise<Analyzer> {
    const host = load.resolve('@pulumi/pulumi/cmd/run-policy-pack');
    const child = spawn(process.execPath, [host, '127.0.0.1:1', '.'], {
      cwd: folder,
      // As `npm run up` has it; what the tests' own process was started with is left out.
      env: { ...process.env, ...policyHostEnvironment(folder, {}) },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const failure = once(child, 'exit').then(([code]) => {
      throw new Error(`The pack ended with ${code} before it said its port`);
    });
    const port = once(createInterface(child.stdout), 'line');
    const [line] = (await Promise.race([port, failure])) as [string];
    return new Analyzer(child, new AnalyzerClient(`127.0.0.1:${line}`, grpc.credentials.createInsecure()));
  }

  async stop(): Promise<void> {
    this.#client.close();
    if (this.#process.exitCode !== null) return;
    const ended = once(this.#process, 'exit');
    this.#process.kill();
    await ended;
  }

  /** Names of the pack's policies, in order. */
  async policies(): Promise<readonly string[]> {
    const info = await this.#info();
    return info.getPoliciesList().map((policy) => policy.getName());
  }

  /** Tells the pack its settings' defaults, as the engine does with what the pack itself said of them. */
  async configure(environment: string): Promise<void> {
    const request = new messages.ConfigureAnalyzerRequest();
    for (const policy of (await this.#info()).getPoliciesList()) {
      const schema = policy.getConfigschema()?.getProperties()?.toJavaScript() ?? {};
      const defaults = Object.entries(schema).map(([name, setting]) => [
        name,
        Reflect.get(Object(setting), 'default'),
      ]);
      const config = new messages.PolicyConfig();
      config.setEnforcementlevel(policy.getEnforcementlevel());
      config.setProperties(Struct.fromJavaScript(Object.fromEntries(defaults)));
      request.getPolicyconfigMap().set(policy.getName(), config);
    }
    await ask((done) => this.#client.configure(request, done));
    const stack = new messages.AnalyzerStackConfigureRequest();
    stack.setStack(environment);
    stack.setProject('mimeo');
    await ask((done) => this.#client.configureStack(stack, done));
  }

  /** What resource policies say of one resource's inputs. */
  async analyze(
    resource: RecordedResource,
    all: readonly RecordedResource[],
  ): Promise<readonly Diagnostic[]> {
    const request = new messages.AnalyzeRequest();
    request.setType(resource.type);
    request.setUrn(resource.urn);
    request.setName(resource.name);
    request.setProperties(structOf(resource.inputs));
    request.setOptions(new messages.AnalyzerResourceOptions());
    request.setProvider(providerOf(resource, all));
    const response = await ask<Message<'AnalyzeResponse'>>((done) => this.#client.analyze(request, done));
    return diagnosticsOf(response).map((diagnostic) => ({ ...diagnostic, urn: resource.urn }));
  }

  /** What stack policies say of all resources. */
  async analyzeStack(all: readonly RecordedResource[]): Promise<readonly Diagnostic[]> {
    const request = new messages.AnalyzeStackRequest();
    request.setResourcesList(
      all.map((resource) => {
        const one = new messages.AnalyzerResource();
        one.setType(resource.type);
        one.setUrn(resource.urn);
        one.setName(resource.name);
        one.setParent(resource.parent ?? '');
        one.setDependenciesList([...resource.dependencies]);
        one.setProperties(structOf({ ...resource.inputs, ...resource.outputs }));
        one.setOptions(new messages.AnalyzerResourceOptions());
        one.setProvider(providerOf(resource, all));
        return one;
      }),
    );
    return diagnosticsOf(
      await ask<Message<'AnalyzeResponse'>>((done) => this.#client.analyzeStack(request, done)),
    );
  }

  #info(): Promise<Message<'AnalyzerInfo'>> {
    return ask((done) => this.#client.getAnalyzerInfo(new Empty(), done));
  }
}

function ask<Out>(send: (done: (error: Error | null, response: Out) => void) => void): Promise<Out> {
  return new Promise((resolve, reject) => {
    send((error, response) => (error ? reject(error) : resolve(response)));
  });
}

/** The engine knows of no `undefined`. */
function structOf(properties: object): InstanceType<typeof Struct> {
  return Struct.fromJavaScript(JSON.parse(JSON.stringify(properties)));
}

/** A resource without a provider of the program's has a default one, which the engine makes. */
function providerOf(resource: RecordedResource, all: readonly RecordedResource[]) {
  const [kind = ''] = resource.type.split(':');
  if (kind === 'pulumi') return undefined;
  const found = all.find(({ urn }) => resource.provider.startsWith(`${urn}::`));
  const provider = new messages.AnalyzerProviderResource();
  provider.setType(`pulumi:providers:${kind}`);
  provider.setUrn(found?.urn ?? `urn:pulumi:dev::mimeo::pulumi:providers:${kind}::default_7_48_0`);
  provider.setName(found?.name ?? 'default_7_48_0');
  provider.setProperties(structOf(found?.inputs ?? {}));
  return provider;
}

function diagnosticsOf(response: Message<'AnalyzeResponse'>): readonly Diagnostic[] {
  return response.getDiagnosticsList().map((one) => ({
    policy: one.getPolicyname(),
    urn: one.getUrn(),
    // The description stands before it.
    message: one.getMessage().replace(/^[^\n]*\n/, ''),
    isMandatory: one.getEnforcementlevel() === messages.EnforcementLevel.MANDATORY,
  }));
}
