import type {
  LabelSelector,
  NetworkPolicySpec,
  Peer,
  PolicyPort,
} from '../../infra/components/network-policies.ts';

/** A policy where it holds. */
export interface PlacedPolicy {
  readonly namespace: string;
  readonly spec: NetworkPolicySpec;
}

/** A pod, for who calls and who is called. */
export interface PodEnd {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Of its namespace, beside `kubernetes.io/metadata.name`, which Kubernetes gives each. */
  readonly namespaceLabels?: Readonly<Record<string, string>>;
  readonly address: string;
}

/** What is no pod: a machine, a service's address, the internet. */
export interface AddressEnd {
  readonly address: string;
}

export interface Connection {
  readonly from: PodEnd | AddressEnd;
  readonly to: PodEnd | AddressEnd;
  readonly port: number;
  readonly protocol?: 'TCP' | 'UDP';
}

/**
 * Whether policies let a connection through: both the pod that calls and the pod that is called must allow it. A pod that
 * no policy selects for a direction allows all of it; one that some select allows what any of them names.
 * Source: Kubernetes, "Network Policies".
 */
export function isAllowed(policies: readonly PlacedPolicy[], connection: Connection): boolean {
  return allows(policies, connection, 'Egress') && allows(policies, connection, 'Ingress');
}

type Direction = 'Ingress' | 'Egress';

function allows(policies: readonly PlacedPolicy[], connection: Connection, direction: Direction): boolean {
  const [own, other] =
    direction === 'Egress' ? [connection.from, connection.to] : [connection.to, connection.from];
  if (!isPod(own)) return true;
  const holding = policies.filter(
    ({ namespace, spec }) =>
      namespace === own.namespace &&
      spec.policyTypes.includes(direction) &&
      matches(spec.podSelector, own.labels),
  );
  if (holding.length === 0) return true;
  return holding.some(({ namespace, spec }) =>
    rulesOf(spec, direction).some(
      ({ peers, ports }) =>
        (peers === undefined || peers.some((peer) => isPeer(peer, other, namespace))) &&
        (ports === undefined || ports.some((port) => isPort(port, connection))),
    ),
  );
}

interface Rule {
  /** undefined for everybody. */
  readonly peers: readonly Peer[] | undefined;
  /** undefined for every port. */
  readonly ports: readonly PolicyPort[] | undefined;
}

/** An empty list of peers or ports means the same as none: all. */
function rulesOf(spec: NetworkPolicySpec, direction: Direction): readonly Rule[] {
  const orAll = <T>(list: readonly T[] | undefined) => (list?.length ? list : undefined);
  return direction === 'Egress'
    ? (spec.egress ?? []).map(({ to, ports }) => ({ peers: orAll(to), ports: orAll(ports) }))
    : (spec.ingress ?? []).map(({ from, ports }) => ({ peers: orAll(from), ports: orAll(ports) }));
}

/** @param namespace of the policy: a selector of pods alone means those beside it */
function isPeer(peer: Peer, end: PodEnd | AddressEnd, namespace: string): boolean {
  if (peer.ipBlock) {
    const { cidr, except = [] } = peer.ipBlock;
    return isInside(end.address, cidr) && !except.some((block) => isInside(end.address, block));
  }
  if (!isPod(end)) return false;
  const isPlaceRight = peer.namespaceSelector
    ? matches(peer.namespaceSelector, {
        ...end.namespaceLabels,
        'kubernetes.io/metadata.name': end.namespace,
      })
    : end.namespace === namespace;
  return isPlaceRight && (peer.podSelector === undefined || matches(peer.podSelector, end.labels));
}

function isPort({ port, protocol }: PolicyPort, connection: Connection): boolean {
  return port === connection.port && protocol === (connection.protocol ?? 'TCP');
}

function isPod(end: PodEnd | AddressEnd): end is PodEnd {
  return 'namespace' in end;
}

function matches({ matchLabels = {} }: LabelSelector, labels: Readonly<Record<string, string>>): boolean {
  return Object.entries(matchLabels).every(([name, value]) => labels[name] === value);
}

/** Whether an IPv4 address is one of a block. */
export function isInside(address: string, block: string): boolean {
  const [base = '', bits = '32'] = block.split('/');
  const size = 2 ** (32 - Number(bits));
  return Math.floor(numberOf(address) / size) === Math.floor(numberOf(base) / size);
}

function numberOf(address: string): number {
  return address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
}
