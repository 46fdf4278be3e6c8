import { launchTemplateType } from '../machines.ts';
import { resourcePolicy } from '../policy.ts';
import { isGiven, textAt } from '../resource.ts';

const reservations = [
  'aws:ec2/capacityReservation:CapacityReservation',
  'aws:ec2/capacityBlockReservation:CapacityBlockReservation',
];

export const noCapacityReservations = resourcePolicy({
  name: 'no-capacity-reservations',
  description: 'A stack should reserve no capacity of EC2, which costs as much idle as busy.',
  enforcement: 'mandatory',
  types: [...reservations, launchTemplateType],
  check({ type, props }) {
    if (reservations.includes(type))
      return ['reserves machines that cost whether or not they run; remove it'];
    const specification = ['capacityReservationSpecification'];
    const isTargeted =
      isGiven(props, ...specification, 'capacityReservationTarget') ||
      textAt(props, ...specification, 'capacityReservationPreference') === 'capacity-reservations-only' ||
      textAt(props, 'instanceMarketOptions', 'marketType') === 'capacity-block';
    return isTargeted ? ['asks for reserved capacity; remove it from the launch template'] : [];
  },
});
