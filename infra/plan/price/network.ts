import { hoursPerMonth } from '../../aws/prices.ts';
import type { RecordedResource } from '../record.ts';
import type { Charge } from './cost-line.ts';
import type { ResourceGraph } from './graph.ts';
import { listAt, textAt, valueAt } from './inputs.ts';
import { monthly, type Pricers, priceOf, standing } from './pricer.ts';
import { loadInWords, machinesAtPeak, predictionsAtPeak, usage } from './usage.ts';

/** Ways in, out and about. */
export const networkPricers: Pricers = {
  'awsx:ec2:Vpc': (vpc, graph) => {
    if (graph.isExpanded(vpc)) return [];
    const strategy = textAt(vpc.inputs, 'natGateways', 'strategy') ?? 'OnePerAz';
    const gateways = { None: 0, Single: 1, OnePerAz: graph.zones }[strategy] ?? 0;
    const specs = listAt(vpc.inputs, 'vpcEndpointSpecs');
    const endpoints = specs.filter((spec) => textAt(spec, 'vpcEndpointType') === 'Interface').length;
    return [
      ...natGateways(gateways, graph, true),
      ...(gateways > 0 ? [natAddresses(gateways, graph)] : []),
      ...(endpoints > 0 ? [interfaceEndpoints(endpoints * graph.zones, graph)] : []),
    ];
  },
  'aws:ec2/natGateway:NatGateway': (gateway, graph) =>
    natGateways(1, graph, graph.bearsUsage(gateway, 'network')),
  'aws:ec2/eip:Eip': (_address, graph) => [
    standing('public address', priceOf(graph, 'public_ipv4', 'hour'), 1),
  ],
  'aws:ec2/vpcEndpoint:VpcEndpoint': (endpoint, graph) => {
    if (textAt(endpoint.inputs, 'vpcEndpointType') !== 'Interface') return [];
    const subnets = listAt(endpoint.inputs, 'subnetIds').length;
    return [interfaceEndpoints(subnets > 0 ? subnets : graph.zones, graph)];
  },
  'awsx:lb:ApplicationLoadBalancer': (balancer, graph) =>
    graph.isExpanded(balancer) ? [] : loadBalancer(balancer, graph),
  'aws:lb/loadBalancer:LoadBalancer': loadBalancer,
  'aws:alb/loadBalancer:LoadBalancer': loadBalancer,
  'aws:route53/zone:Zone': (_zone, graph) => [
    monthly('hosted zone', 'zone', priceOf(graph, 'route53', 'hosted_zone_month')),
  ],
  'aws:servicediscovery/privateDnsNamespace:PrivateDnsNamespace': (_namespace, graph) => [
    monthly('private DNS zone', 'zone', priceOf(graph, 'route53', 'hosted_zone_month')),
  ],
  'kubernetes:core/v1:Service': (service) =>
    textAt(service.inputs, 'spec', 'type') === 'LoadBalancer'
      ? [{ unpriced: 'the cluster makes a load balancer for it' }]
      : [],
};

function natGateways(count: number, graph: ResourceGraph, countsBytes: boolean): readonly Charge[] {
  if (count === 0) return [];
  const hours = standing(
    count > 1 ? 'NAT gateways' : 'NAT gateway',
    priceOf(graph, 'nat_gateway', 'hour'),
    count,
  );
  if (!countsBytes) return [hours];
  const days = hoursPerMonth / 24;
  const bytes: Charge = {
    what: 'bytes through NAT',
    price: priceOf(graph, 'nat_gateway', 'gb'),
    unit: 'GB',
    idle: 0,
    peak: machinesAtPeak(graph) * usage.weightsGbPerMachineDay * days,
    assumption: `each machine fetches ${usage.weightsGbPerMachineDay} GB of weights a day; images come by the free gateway of S3`,
  };
  return [hours, bytes];
}

function natAddresses(count: number, graph: ResourceGraph): Charge {
  return standing('public addresses of NAT', priceOf(graph, 'public_ipv4', 'hour'), count);
}

/** @param count endpoints × zones */
function interfaceEndpoints(count: number, graph: ResourceGraph): Charge {
  return standing('interface endpoints', priceOf(graph, 'vpc_endpoint_interface', 'hour_per_az'), count);
}

/** One connection a second of each request to the api: an LCU has 25. Source: prices.json, alb.lcu_hour, note. */
const connectionsPerLcu = 25;

function loadBalancer(balancer: RecordedResource, graph: ResourceGraph): readonly Charge[] {
  const requests = predictionsAtPeak(graph) * usage.apiRequests;
  const perSecond = requests / (hoursPerMonth * 3600);
  const units = Math.max(1, Math.ceil(perSecond / connectionsPerLcu));
  const charges: Charge[] = [
    standing('load balancer', priceOf(graph, 'alb', 'hour'), 1),
    {
      ...standing('its capacity units', priceOf(graph, 'alb', 'lcu_hour'), 0, units),
      assumption: `${loadInWords(graph)}, ${usage.apiRequests} connections each`,
    },
  ];
  if (valueAt(balancer.inputs, 'internal') === true) return charges;
  const subnets = listAt(balancer.inputs, 'subnetIds').length || listAt(balancer.inputs, 'subnets').length;
  const zones = subnets > 0 ? subnets : graph.zones;
  return [...charges, standing('its public addresses', priceOf(graph, 'public_ipv4', 'hour'), zones)];
}
