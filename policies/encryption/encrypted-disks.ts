import { launchTemplateType } from '../machines.ts';
import { resourcePolicy } from '../policy.ts';
import { at, isTrue, listAt } from '../resource.ts';

export const encryptedDisks = resourcePolicy({
  name: 'encrypted-disks',
  description: "Machines' volumes should be encrypted.",
  enforcement: 'mandatory',
  types: [launchTemplateType, 'aws:ebs/volume:Volume', 'aws:ec2/instance:Instance'],
  check({ type, props }) {
    if (type === 'aws:ebs/volume:Volume')
      return isTrue(at(props, 'encrypted')) ? [] : ['is not encrypted; set encrypted to true'];
    const disks =
      type === launchTemplateType
        ? listAt(props, 'blockDeviceMappings')
            .filter((mapping) => at(mapping, 'virtualName') === undefined)
            .map((mapping) => at(mapping, 'ebs', 'encrypted'))
        : listAt(props, 'rootBlockDevice').map((disk) => at(disk, 'encrypted'));
    if (disks.length > 0 && disks.every(isTrue)) return [];
    return ['starts machines whose root volume is not encrypted; map it and set encrypted to true'];
  },
});
