/** A NetworkPolicy's spec, as far as it is used here, in plain values: what can be reasoned about. */
export interface NetworkPolicySpec {
  readonly podSelector: LabelSelector;
  readonly policyTypes: ('Ingress' | 'Egress')[];
  readonly ingress?: IngressRule[];
  readonly egress?: EgressRule[];
}

/** Selects by equal labels; {} selects all. */
export interface LabelSelector {
  readonly matchLabels?: Record<string, string>;
}

export interface Peer {
  readonly podSelector?: LabelSelector;
  readonly namespaceSelector?: LabelSelector;
  readonly ipBlock?: { readonly cidr: string; readonly except?: string[] };
}

export interface PolicyPort {
  readonly protocol: 'TCP' | 'UDP';
  readonly port: number;
}

/** Whom a pod may call. Without `to` everybody, without `ports` every port. */
export interface EgressRule {
  readonly to?: Peer[];
  readonly ports?: PolicyPort[];
}

/** Who may call a pod. */
export interface IngressRule {
  readonly from?: Peer[];
  readonly ports?: PolicyPort[];
}

/**
 * Addresses that are nobody's on the internet: private ones, carriers', loopback, link-local with the metadata endpoint,
 * and those set aside. Source: IANA IPv4 Special-Purpose Address Registry (RFC 6890).
 */
const notPublic = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '224.0.0.0/4',
  '240.0.0.0/4',
];

/** The internet, without the VPC and the cluster's services, whatever their addresses. */
export function internet(own: readonly string[]): Peer {
  return { ipBlock: { cidr: '0.0.0.0/0', except: [...new Set([...notPublic, ...own])] } };
}

/** What a policy in a place is made of. */
export interface Surroundings {
  /** Addresses of the VPC. */
  readonly vpcCidr: string;
  /** Addresses of Kubernetes services. */
  readonly serviceCidr: string;
}

/** Asking for names. */
export const dnsEgress: EgressRule = {
  to: [
    {
      namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'kube-system' } },
      podSelector: { matchLabels: { 'k8s-app': 'kube-dns' } },
    },
  ],
  ports: [
    { protocol: 'UDP', port: 53 },
    { protocol: 'TCP', port: 53 },
  ],
};

/** The port on which the api listens inside the VPC. */
const apiPort = 8080;

/**
 * Reaching the api. Inside the VPC its tasks have any address of it; a load balancer's addresses are AWS's and change,
 * so that the port of TLS has to be open to the internet even for models that are to have none.
 * @param fleetUrl what runners call
 */
export function apiEgress(fleetUrl: string, { vpcCidr, serviceCidr }: Surroundings): EgressRule {
  const { port, protocol } = new URL(fleetUrl);
  const own = Number(port) || (protocol === 'https:' ? 443 : 80);
  const to = own === apiPort ? { ipBlock: { cidr: vpcCidr } } : internet([vpcCidr, serviceCidr]);
  return { to: [to], ports: [{ protocol: 'TCP', port: own }] };
}

/** Reaching the API server: by its service's address, which is the first, and by those that it has in the VPC. */
export function apiServerEgress({ vpcCidr, serviceCidr }: Surroundings): EgressRule {
  const address = serviceCidr.replace(/\.0\/\d+$/, '.1/32');
  return {
    to: [{ ipBlock: { cidr: address } }, { ipBlock: { cidr: vpcCidr } }],
    ports: [{ protocol: 'TCP', port: 443 }],
  };
}

/** Nobody in, nobody out, but for what other policies add. */
export const denyAll: NetworkPolicySpec = { podSelector: {}, policyTypes: ['Ingress', 'Egress'] };

/** What models reach: names, the api that their runners speak to, and the internet where `hasInternet`. */
export function modelsEgress(
  fleetUrl: string,
  hasInternet: boolean,
  surroundings: Surroundings,
): NetworkPolicySpec {
  const own = [surroundings.vpcCidr, surroundings.serviceCidr];
  return {
    podSelector: {},
    policyTypes: ['Egress'],
    egress: [dnsEgress, apiEgress(fleetUrl, surroundings), ...(hasInternet ? [{ to: [internet(own)] }] : [])],
  };
}

/** What the director reaches: names, the api and the API server. */
export function directorEgress(fleetUrl: string, surroundings: Surroundings): NetworkPolicySpec {
  return {
    podSelector: { matchLabels: { app: 'director' } },
    policyTypes: ['Egress'],
    egress: [dnsEgress, apiEgress(fleetUrl, surroundings), apiServerEgress(surroundings)],
  };
}

/** What the autoscaler reaches: names, the API server, AWS, and the agent on its machine that gives it credentials. */
export function autoscalerEgress(surroundings: Surroundings): NetworkPolicySpec {
  const agent = '169.254.170.23/32';
  return {
    podSelector: { matchLabels: { app: 'cluster-autoscaler' } },
    policyTypes: ['Egress'],
    egress: [
      dnsEgress,
      apiServerEgress(surroundings),
      { to: [{ ipBlock: { cidr: '0.0.0.0/0' } }], ports: [{ protocol: 'TCP', port: 443 }] },
      { to: [{ ipBlock: { cidr: agent } }], ports: [{ protocol: 'TCP', port: 80 }] },
    ],
  };
}
