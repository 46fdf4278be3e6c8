import { defaultHardware } from '../../services/core/hardware.ts';
import { isGpuGroup, launchTemplateOf, nodeGroupType, skuOf, tierTag } from '../machines.ts';
import { stackPolicy } from '../policy.ts';
import { at, listAt, type StackResource } from '../resource.ts';

export const tierTags = stackPolicy({
  name: 'tier-tags',
  description:
    "A tier's node group, machines and disks should carry its SKU as a tag, by which its costs are told.",
  enforcement: 'mandatory',
  check(resources) {
    return resources
      .filter((group) => group.type === nodeGroupType)
      .flatMap((resource) => mistakes(resource).map((message) => ({ resource, message })));
  },
});

function mistakes(group: StackResource): readonly string[] {
  const sku = skuOf(group);
  if (sku === undefined) {
    return isGpuGroup(group) ? [`has GPUs and no tag ${tierTag}; tag it with its SKU`] : [];
  }
  if (!defaultHardware.some((one) => one.sku === sku)) {
    return [
      `has the tag ${tierTag}: ${sku}, which is no SKU; take one of ${defaultHardware.map((one) => one.sku).join(', ')}`,
    ];
  }
  const template = launchTemplateOf(group);
  if (!template) return ['has no launch template to tag its machines and disks by; give it one'];
  return ['instance', 'volume'].flatMap((kind) => {
    const given = listAt(template.props, 'tagSpecifications').find((one) => at(one, 'resourceType') === kind);
    if (at(given, 'tags', tierTag) === sku) return [];
    return [
      `starts machines whose ${kind} has no tag ${tierTag}: ${sku}; add it to tagSpecifications of ${template.name}`,
    ];
  });
}
