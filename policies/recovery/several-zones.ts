import { stackPolicy } from '../policy.ts';
import { at, isGiven, listAt, notKnown, type StackResource, textAt } from '../resource.ts';
import { whereEnvironment } from '../settings.ts';

const vpcType = 'awsx:ec2:Vpc';
const subnetType = 'aws:ec2/subnet:Subnet';

export const severalZones = stackPolicy({
  name: 'several-zones',
  description: 'In production, a network should span more than one availability zone.',
  enforcement: 'mandatory',
  settings: { production: whereEnvironment('Environments that go by the rules of production', ['prod']) },
  check(resources, { settings: { production } }) {
    if (!production) return [];
    return resources
      .filter(({ type }) => type === vpcType || type === 'aws:ec2/vpc:Vpc')
      .filter((network) => network.parent?.type !== vpcType && zonesOf(network, resources) < 2)
      .map((resource) => ({
        resource,
        message:
          'stands in one availability zone, and falls with it; set network.availabilityZones to 2 or 3',
      }));
  },
});

function zonesOf(network: StackResource, resources: readonly StackResource[]): number {
  const subnets = resources.filter((one) => one.type === subnetType && isOf(one, network));
  if (subnets.length > 0) return zonesOfSubnets(subnets);
  const count = at(network.props, 'numberOfAvailabilityZones');
  if (typeof count === 'number') return count;
  if (isGiven(network.props, 'availabilityZoneNames'))
    return listAt(network.props, 'availabilityZoneNames').length;
  // What awsx makes where it is told nothing. Source: pulumi-awsx, ec2/vpc.ts.
  return network.type === vpcType ? 3 : 0;
}

/** Zones that a preview does not know may differ: the update looks again. */
function zonesOfSubnets(subnets: readonly StackResource[]): number {
  const zones = subnets.map(({ props }) => at(props, 'availabilityZone') ?? at(props, 'availabilityZoneId'));
  return zones.includes(notKnown) ? subnets.length : new Set(zones).size;
}

function isOf(subnet: StackResource, network: StackResource): boolean {
  for (let at = subnet.parent; at; at = at.parent) if (at.urn === network.urn) return true;
  return (
    subnet.dependencies.some(({ urn }) => urn === network.urn) ||
    textAt(subnet.props, 'vpcId') === (textAt(network.props, 'vpcId') ?? textAt(network.props, 'id') ?? '')
  );
}
