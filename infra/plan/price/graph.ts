import { findInstanceType } from '../../aws/prices.ts';
import type { RecordedResource } from '../record.ts';
import { listAt, numberAt, textAt, valueAt } from './inputs.ts';

/** Types of the platform's own components begin so. */
const ownPrefix = 'mimeo:infra:';

/** A program's resources, and how they hang together. */
export class ResourceGraph {
  readonly all: readonly RecordedResource[];
  /** Where the program's resources are, by its AWS provider. */
  readonly region: string;
  readonly #byUrn: ReadonlyMap<string, RecordedResource>;

  /** @param region taken where the program has no AWS provider that names one */
  constructor(all: readonly RecordedResource[], region = 'us-east-1') {
    this.all = all;
    this.#byUrn = new Map(all.map((resource) => [resource.urn, resource]));
    const provider = all.find(({ type }) => type === 'pulumi:providers:aws');
    this.region = textAt(provider?.inputs, 'region') ?? region;
  }

  ofType(type: string): readonly RecordedResource[] {
    return this.all.filter((resource) => resource.type === type);
  }

  /** Its parents, the nearest first. */
  ancestorsOf(resource: RecordedResource): readonly RecordedResource[] {
    const found: RecordedResource[] = [];
    let at = resource.parent === undefined ? undefined : this.#byUrn.get(resource.parent);
    while (at && !found.includes(at)) {
      found.push(at);
      at = at.parent === undefined ? undefined : this.#byUrn.get(at.parent);
    }
    return found;
  }

  /** The outermost component of ours that it belongs to; undefined for what hangs on the stack itself. */
  componentOf(resource: RecordedResource): RecordedResource | undefined {
    return [resource, ...this.ancestorsOf(resource)].findLast(({ type }) => type.startsWith(ownPrefix));
  }

  /** That component's name; `stack` for what hangs on the stack itself. */
  componentNameOf(resource: RecordedResource): string {
    return this.componentOf(resource)?.name ?? 'stack';
  }

  /** Resources of a type that it depends on, or else that stand beside it in its component. */
  relatedOf(resource: RecordedResource, type: string): readonly RecordedResource[] {
    const candidates = this.ofType(type);
    const needed = candidates.filter(({ urn }) => resource.dependencies.includes(urn));
    if (needed.length > 0) return needed;
    const component = this.componentOf(resource);
    return candidates.filter((other) => component && this.componentOf(other) === component);
  }

  /** Whether the engine has made an awsx component's inside, so that it is not to be priced by its inputs as well. */
  isExpanded(component: RecordedResource): boolean {
    return this.all.some((resource) => resource.isCustom && this.ancestorsOf(resource).includes(component));
  }

  /**
   * Whether what all resources of its type do together is charged to this one: to the first in the component that does
   * it, or else to the first there is.
   */
  bearsUsage(resource: RecordedResource, component: string): boolean {
    const all = this.ofType(resource.type);
    const bearer = all.find((one) => this.componentNameOf(one) === component) ?? all[0];
    return bearer === resource;
  }

  /** Whether machines have public addresses: a VPC without NAT gateways has no other way out. */
  get hasPublicMachines(): boolean {
    const vpcs = this.ofType('awsx:ec2:Vpc');
    if (vpcs.length === 0) return this.ofType('aws:ec2/natGateway:NatGateway').length === 0;
    return vpcs.every(({ inputs }) => textAt(inputs, 'natGateways', 'strategy') === 'None');
  }

  /** Zones of the network; AWS's default of awsx is 3. */
  get zones(): number {
    const inputs = this.ofType('awsx:ec2:Vpc')[0]?.inputs;
    const names = listAt(inputs, 'availabilityZoneNames').length;
    return names > 0 ? names : (numberAt(inputs, 'numberOfAvailabilityZones') ?? 3);
  }

  /** Groups of machines that run models: those that carry a SKU, or have GPUs. */
  get tiers(): readonly RecordedResource[] {
    return this.ofType('aws:eks/nodeGroup:NodeGroup').filter(({ inputs }) => {
      const type = findInstanceType(textAt(inputs, 'instanceTypes', 0) ?? '');
      const isLabelled = valueAt(inputs, 'labels', 'mimeo.dev/sku') ?? valueAt(inputs, 'tags', 'mimeo:tier');
      return isLabelled !== undefined || (type?.gpu ?? null) !== null;
    });
  }
}
