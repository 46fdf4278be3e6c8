import { type StackViolation, stackPolicy } from '../policy.ts';
import { at, isGiven, listAt, type Properties, type StackResource, textAt, textsAt } from '../resource.ts';
import { list } from '../settings.ts';

const groupType = 'aws:ec2/securityGroup:SecurityGroup';
const balancerTypes: readonly string[] = [
  'aws:lb/loadBalancer:LoadBalancer',
  'awsx:lb:ApplicationLoadBalancer',
];

/** What lets traffic in. */
interface Rule {
  readonly resource: StackResource;
  /** The security group that it belongs to; undefined where that is not of this stack. */
  readonly group: StackResource | undefined;
  readonly from: unknown;
  readonly to: unknown;
  readonly cidrs: readonly string[];
}

export const noOpenIngress = stackPolicy({
  name: 'no-open-ingress',
  description:
    "Nothing should be open to the whole internet but the load balancer's ports for TLS and its redirect.",
  enforcement: 'mandatory',
  settings: {
    ports: list('Ports that a load balancer may open to the whole internet: TLS, and the redirect to it', [
      '443',
      '80',
    ]),
  },
  check(resources, { settings: { ports } }) {
    return resources.flatMap((resource): readonly StackViolation[] => {
      const isExpanded = resources.some(({ parent }) => parent?.urn === resource.urn);
      const open = rulesOf(resource, isExpanded).filter(({ cidrs }) =>
        cidrs.some((cidr) => cidr.endsWith('/0')),
      );
      return open
        .filter((rule) => !isBalancers(rule, resources, ports))
        .map(({ from, to }) => ({
          resource,
          message: `lets the whole internet in on ${nameOf(from, to)}; name who may call, such as another security group`,
        }));
    });
  },
});

function nameOf(from: unknown, to: unknown): string {
  if (typeof from !== 'number' || typeof to !== 'number') return 'every port';
  return from === to ? `port ${from}` : `ports ${from} to ${to}`;
}

function isBalancers(rule: Rule, resources: readonly StackResource[], ports: readonly string[]): boolean {
  const { from, to, group } = rule;
  if (typeof from !== 'number' || from !== to || !ports.includes(String(from))) return false;
  if (balancerTypes.includes(rule.resource.type)) return true;
  return (
    group !== undefined &&
    resources.some(
      (balancer) =>
        balancerTypes.includes(balancer.type) &&
        (balancer.dependencies.some(({ urn }) => urn === group.urn) ||
          isNamedBy(balancer, group) ||
          isChild(group, balancer)),
    )
  );
}

function isNamedBy(balancer: StackResource, group: StackResource): boolean {
  const [id, arn] = [textAt(group.props, 'id'), textAt(group.props, 'arn')];
  return textsAt(balancer.props, 'securityGroups').some(
    (one) => one === id || arn?.endsWith(`/${one}`) === true,
  );
}

function isChild(group: StackResource, balancer: StackResource): boolean {
  return (
    group.parent?.urn === balancer.urn ||
    (group.parent !== undefined && group.parent === balancer.parent && group.parent.type.startsWith('awsx:'))
  );
}

function rulesOf(resource: StackResource, isExpanded: boolean): readonly Rule[] {
  const { type, props, dependencies } = resource;
  const group = dependencies.find((one) => one.type === groupType);
  switch (type) {
    case groupType:
      return listAt(props, 'ingress').map((rule) => ruleOf(rule, resource, resource));
    case 'aws:ec2/securityGroupRule:SecurityGroupRule':
      return at(props, 'type') === 'egress' ? [] : [ruleOf(props, resource, group)];
    case 'aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule':
      return [ruleOf(props, resource, group)];
    case 'aws:ec2/defaultSecurityGroup:DefaultSecurityGroup':
      return listAt(props, 'ingress').map((rule) => ruleOf(rule, resource, undefined));
    case 'awsx:lb:ApplicationLoadBalancer':
      // What the engine expanded has its group as a child, which is looked at by itself.
      return isExpanded ? [] : balancerRules(resource, props);
    default:
      return [];
  }
}

/** awsx makes a group that is open on every port where it is given neither groups nor the rules of one. */
function balancerRules(resource: StackResource, props: Properties): readonly Rule[] {
  const given = at(props, 'defaultSecurityGroup');
  if (isGiven(given, 'args', 'ingress')) {
    return listAt(given, 'args', 'ingress').map((rule) => ruleOf(rule, resource, undefined));
  }
  const isElsewhere =
    isGiven(props, 'securityGroups') || isGiven(given, 'securityGroupId') || at(given, 'skip') === true;
  return isElsewhere
    ? []
    : [{ resource, group: undefined, from: undefined, to: undefined, cidrs: ['0.0.0.0/0'] }];
}

function ruleOf(rule: unknown, resource: StackResource, group: StackResource | undefined): Rule {
  const cidrs = ['cidrBlocks', 'ipv6CidrBlocks', 'cidrIpv4', 'cidrIpv6'].flatMap((key) => textsAt(rule, key));
  const isAll = ['-1', 'all'].includes(String(at(rule, 'protocol') ?? at(rule, 'ipProtocol')));
  if (isAll) return { resource, group, from: undefined, to: undefined, cidrs };
  return { resource, group, from: at(rule, 'fromPort'), to: at(rule, 'toPort'), cidrs };
}
