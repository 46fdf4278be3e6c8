import { type StackViolation, stackPolicy } from '../policy.ts';
import { at, listAt, notKnown, type StackResource } from '../resource.ts';
import { numberByEnvironment } from '../settings.ts';

const gatewayType = 'aws:ec2/natGateway:NatGateway';
const vpcType = 'awsx:ec2:Vpc';
/** What awsx makes where it is told no number of zones. Source: pulumi-awsx, ec2/vpc.ts. */
const usualZones = 3;

export const natCount = stackPolicy({
  name: 'nat-count',
  description: 'A stack should have no more NAT gateways than its environment allows.',
  enforcement: 'mandatory',
  settings: {
    natGateways: numberByEnvironment('NAT gateways at most', { dev: 0, staging: 1, prod: 3 }),
  },
  check(resources, { environment, settings: { natGateways } }) {
    const gateways = resources.filter(({ type }) => type === gatewayType);
    // The real engine expands awsx's components into their children; the plan sees their inputs alone.
    const unexpanded = resources.filter(
      (vpc) => vpc.type === vpcType && !gateways.some((gateway) => isWithin(gateway, vpc)),
    );
    const untold: StackViolation[] = unexpanded
      .filter((vpc) => at(vpc.props, 'natGateways', 'strategy') === notKnown)
      .map((resource) => ({ resource, message: 'must have a literal natGateways.strategy' }));
    const count = unexpanded.reduce((sum, vpc) => sum + gatewaysOf(vpc), gateways.length);
    if (count <= natGateways) return untold;
    const message = `${environment} has ${count} NAT gateways at about 33 USD a month each, over its ${natGateways}; set network.nat to none, single or one-per-az, or raise natGateways`;
    return [...untold, { message }];
  },
});

function isWithin(resource: StackResource, ancestor: StackResource): boolean {
  for (let at = resource.parent; at; at = at.parent) if (at.urn === ancestor.urn) return true;
  return false;
}

function gatewaysOf({ props, type }: StackResource): number {
  const strategy = at(props, 'natGateways', 'strategy');
  if (type !== vpcType || strategy === notKnown) return 0;
  // An expanded component's outputs name no strategy: it has none if it has no gateways.
  if (strategy === undefined) return isInput(props) ? zonesOf(props) : 0;
  return strategy === 'None' ? 0 : strategy === 'Single' ? 1 : zonesOf(props);
}

/** Whether properties are what the program gave; what awsx answers has subnets' layouts and the VPC itself. */
function isInput(props: Readonly<Record<string, unknown>>): boolean {
  return at(props, 'vpc') === undefined && at(props, 'subnetLayout') === undefined;
}

function zonesOf(props: Readonly<Record<string, unknown>>): number {
  const count = at(props, 'numberOfAvailabilityZones');
  if (typeof count === 'number') return count;
  return listAt(props, 'availabilityZoneNames').length || usualZones;
}
