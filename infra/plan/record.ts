import * as pulumi from '@pulumi/pulumi';
import { mockCall, mockResource } from './mock-outputs.ts';

/** A resource that a program asked for. */
export interface RecordedResource {
  readonly urn: string;
  /** Such as `aws:sqs/queue:Queue`. */
  readonly type: string;
  /** Logical name. */
  readonly name: string;
  /** URN; undefined for the stack itself and what hangs on nothing. */
  readonly parent: string | undefined;
  /** false for components, of which awsx's are expanded by the real engine only. */
  readonly isCustom: boolean;
  /** As the program gave them, with outputs of other resources as the mocks answered them. */
  readonly inputs: Readonly<Record<string, unknown>>;
  readonly outputs: Readonly<Record<string, unknown>>;
  readonly dependencies: readonly string[];
  readonly ignoreChanges: readonly string[];
  readonly isProtected: boolean;
  readonly retainsOnDelete: boolean;
  /** URN::id of an explicit provider, or empty. */
  readonly provider: string;
}

/** What a run of a program came to. */
export interface Recording<T> {
  readonly resources: readonly RecordedResource[];
  /** The program's result with every output resolved; undefined in a preview. */
  readonly result: pulumi.Unwrap<T>;
}

export interface RecordOptions {
  readonly project: string;
  readonly environment: string;
  /** Makes a resource really, and answers with its id and outputs. @default made-up ones */
  readonly create?: pulumi.runtime.Mocks['newResource'];
  readonly call?: pulumi.runtime.Mocks['call'];
  /** Whether outputs are unknown, as in a preview. @default false */
  readonly isPreview?: boolean;
}

/** The parts of the engine's request that are recorded (`resource.proto`, RegisterResourceRequest). */
interface Request {
  getType(): string;
  getName(): string;
  getParent(): string;
  getCustom(): boolean;
  getDependenciesList(): readonly string[];
  getIgnorechangesList(): readonly string[];
  getProtect(): boolean;
  getRetainondelete(): boolean;
  getProvider(): string;
}

/**
 * Runs a Pulumi program without its engine, and records what it asks for. `@pulumi/aws` and the like must be imported by
 * `program` and not before, and a process takes one recording at a time.
 * @throws what the program throws
 */
export async function record<T>(program: () => Promise<T>, options: RecordOptions): Promise<Recording<T>> {
  const { project, environment, create = mockResource, call = mockCall, isPreview = false } = options;
  const resources: RecordedResource[] = [];
  const made = new Map<string, { readonly inputs: object; readonly outputs: object }>();
  await pulumi.runtime.setMocks(
    {
      call,
      async newResource(args) {
        const result = await create(args);
        made.set(`${args.type} ${args.name}`, { inputs: args.inputs, outputs: result.state });
        return result;
      },
    },
    project,
    environment,
    isPreview,
  );
  listen((urn, request) => {
    const { inputs = {}, outputs = {} } = made.get(`${request.getType()} ${request.getName()}`) ?? {};
    resources.push({
      urn,
      type: request.getType(),
      name: request.getName(),
      parent: request.getParent() || undefined,
      isCustom: request.getCustom(),
      inputs: { ...inputs },
      outputs: { ...outputs },
      dependencies: request.getDependenciesList(),
      ignoreChanges: request.getIgnorechangesList(),
      isProtected: request.getProtect(),
      retainsOnDelete: request.getRetainondelete(),
      provider: request.getProvider(),
    });
  });
  let result: pulumi.Unwrap<T> | undefined;
  let failure: { readonly error: unknown } | undefined;
  await pulumi.runtime.runInPulumiStack(async () => {
    try {
      const output = pulumi.output(await program());
      // In a preview an unknown result would never come.
      if (!isPreview) result = await new Promise((resolve) => output.apply(resolve));
    } catch (error) {
      // Thrown from in here, it would end the process as well.
      failure = { error };
    }
    return {};
  });
  // Resources that the result does not wait for may be on their way still.
  await pulumi.runtime.disconnect();
  if (failure) throw failure.error;
  return { resources, result: result as pulumi.Unwrap<T> };
}

/** The mocks are not told of parents, dependencies and options; the monitor before them is. */
function listen(onResource: (urn: string, request: Request) => void): void {
  const monitor = pulumi.runtime.getMonitor() as unknown as {
    registerResource(
      request: Request,
      callback: (error: unknown, response?: { getUrn(): string }) => void,
    ): unknown;
  };
  const register = monitor.registerResource.bind(monitor);
  monitor.registerResource = (request, callback) =>
    register(request, (error, response) => {
      if (response) onResource(response.getUrn(), request);
      callback(error, response);
    });
}
