import { mockResource } from '../../infra/plan/mock-outputs.ts';
import { type Properties, plainProperties, previewOf, unknownValue } from './property-values.ts';

/** Something that a program has made. */
export interface Standing {
  readonly urn: string;
  readonly type: string;
  /** Logical name. */
  readonly name: string;
  readonly id: string;
  readonly inputs: Properties;
}

/** One call that changed something. */
export interface Change {
  readonly operation: 'create' | 'update' | 'delete';
  readonly type: string;
  readonly name: string;
}

/** What a provider says of a thing. */
interface Described {
  readonly id: string;
  readonly state: Properties;
}

/** What the stand-in providers have made, in memory. */
export class StandInCloud {
  readonly standing: Standing[] = [];
  readonly changes: Change[] = [];
  readonly refused = new Map<string, string>();
  /** URNs of components that were expanded: what they say is known from then on. */
  readonly components = new Set<string>();
  /** How often a thing was made or changed, for those that count it themselves. */
  readonly #revisions = new Map<string, number>();
  /** What others than the program have changed, by logical name. */
  readonly #drifted = new Map<string, Properties>();
  #hasCluster = true;
  #forgetsUnreachable = true;
  #environment: Readonly<Record<string, string>> = {};

  create(urn: string, inputs: Properties, isPreview: boolean): Described {
    const { type, name } = partsOf(urn);
    if (isPreview) return { id: '', state: previewOf(inputs, this.#describe(urn, inputs).state) };
    this.#reach(type);
    this.#note('create', urn);
    const { id, state } = this.#describe(urn, inputs);
    this.standing.push({ urn, type, name, id, inputs });
    return { id, state };
  }

  update(urn: string, id: string, inputs: Properties, isPreview: boolean): Properties {
    const { type, name } = partsOf(urn);
    if (!isPreview) {
      this.#reach(type);
      this.#note('update', urn);
      const at = this.#find(urn, id);
      if (at >= 0) this.standing[at] = { urn, type, name, id, inputs };
    }
    const { state } = this.#describe(urn, inputs);
    // Counted by AWS, once it has the change.
    return isPreview && 'latestVersion' in state ? { ...state, latestVersion: unknownValue } : state;
  }

  /** What is gone already counts as deleted. */
  remove(urn: string, id: string): void {
    const { type } = partsOf(urn);
    if (!this.#forgetsUnreachable) this.#reach(type);
    const at = this.#find(urn, id);
    this.#note('delete', urn);
    if (at >= 0) this.standing.splice(at, 1);
    if (this.standing.length === 0) this.components.clear();
  }

  /** A resource as it is found. */
  read(urn: string, known: Properties): Properties {
    return { ...known, ...this.#drifted.get(partsOf(urn).name) };
  }

  /** Changes a resource behind the program's back. @param inputs those that are other now */
  drift(name: string, inputs: Properties): void {
    this.#drifted.set(name, inputs);
  }

  /**
   * Takes away the cluster with all that is in it, behind the program's back.
   * @param environment what the provider of Kubernetes is started with from now on
   */
  loseCluster(environment: Readonly<Record<string, string>>): void {
    this.#hasCluster = false;
    this.#environment = environment;
    this.#forgetsUnreachable = true;
    const isLost = ({ type }: Standing) => type === 'aws:eks/cluster:Cluster' || isInCluster(type);
    const left = this.standing.filter((one) => !isLost(one));
    this.standing.splice(0, this.standing.length, ...left);
  }

  /** A provider of Kubernetes was given its settings: it insists on its cluster unless they or its environment say otherwise. */
  configure(settings: Properties): void {
    if (!('kubeconfig' in settings)) return;
    const said = settings.deleteUnreachable ?? this.#environment.PULUMI_K8S_DELETE_UNREACHABLE;
    if (String(said) !== 'true') this.#forgetsUnreachable = false;
  }

  #reach(type: string): void {
    // In the words of Pulumi's Kubernetes provider.
    if (!this.#hasCluster && isInCluster(type))
      throw new Error('configured Kubernetes cluster is unreachable');
  }

  #find(urn: string, id: string): number {
    return this.standing.findIndex((one) => one.urn === urn && one.id === id);
  }

  #note(operation: Change['operation'], urn: string): void {
    const { type, name } = partsOf(urn);
    const refusal = this.refused.get(`${operation} ${type}`);
    if (refusal !== undefined) throw new Error(refusal);
    this.changes.push({ operation, type, name });
    if (operation !== 'delete') this.#revisions.set(urn, (this.#revisions.get(urn) ?? 0) + 1);
  }

  /** What a thing says of itself once it is there. */
  #describe(urn: string, inputs: Properties): Described {
    const { type, name } = partsOf(urn);
    const { id, state } = describe(type, name, inputs);
    const revision = this.#revisions.get(urn) ?? 1;
    if (type === 'aws:ec2/launchTemplate:LaunchTemplate') {
      return { id, state: { ...state, latestVersion: revision } };
    }
    if (type === 'aws:ecs/taskDefinition:TaskDefinition') {
      const arn = `${state.arn}:${revision}`;
      return { id: arn, state: { ...state, arn } };
    }
    return { id, state };
  }
}

function isInCluster(type: string): boolean {
  return type.startsWith('kubernetes:');
}

/** `urn:pulumi:dev::mimeo::mimeo:infra:Network$aws:ec2/vpc:Vpc::network` */
function partsOf(urn: string): { readonly type: string; readonly name: string } {
  const [, , path = '', ...name] = urn.split('::');
  return { type: path.split('$').at(-1) ?? '', name: name.join('::') };
}

/** What a new thing says of itself. */
export function describe(type: string, name: string, inputs: Properties): Described {
  const answer = mockResource({ type, name, inputs: { ...plainProperties(inputs) }, id: '' });
  const state: Properties = { ...answer.state };
  if (!isInCluster(type)) return { id: String(answer.id), state };
  // The server names what has no name of its own.
  const metadata = { name, ...(state.metadata as object | undefined) };
  return { id: String(answer.id), state: { ...state, metadata } };
}
