import { instanceTypesIn, isAccelerated, launchTemplateType, nodeGroupType } from '../machines.ts';
import { resourcePolicy } from '../policy.ts';
import { at, listAt, notKnown } from '../resource.ts';
import { listByEnvironment } from '../settings.ts';

const oneSmallGpu = ['g4dn.xlarge', 'g4dn.2xlarge', 'g5.xlarge', 'g5.2xlarge', 'g6.xlarge', 'g6e.xlarge'];
const oneGpu = [...oneSmallGpu, 'g6e.2xlarge', 'g6e.4xlarge', 'g7e.2xlarge', 'p5.4xlarge'];

export const gpuInstanceTypes = resourcePolicy({
  name: 'gpu-instance-types',
  description: 'Machines with GPUs should be of the types that their environment allows.',
  enforcement: 'mandatory',
  settings: {
    gpuInstanceTypes: listByEnvironment('Types of instances with GPUs that may be started', {
      dev: oneSmallGpu,
      staging: oneGpu,
      prod: [...oneGpu, 'p4d.24xlarge', 'p4de.24xlarge'],
    }),
  },
  types: [nodeGroupType, launchTemplateType, 'aws:ec2/instance:Instance'],
  check(resource, { environment, settings }) {
    const values = [
      at(resource.props, 'instanceType'),
      at(resource.props, 'instanceTypes'),
      ...listAt(resource.props, 'instanceTypes'),
    ];
    if (values.includes(notKnown)) {
      return ['must name its instance types literally, so that they are known before the update'];
    }
    return instanceTypesIn(resource)
      .filter((type) => isAccelerated(type) && !settings.gpuInstanceTypes.includes(type))
      .map(
        (type) =>
          `may start ${type}, which ${environment} does not allow; take one of ${settings.gpuInstanceTypes.join(', ')}, or add it to gpuInstanceTypes`,
      );
  },
});
