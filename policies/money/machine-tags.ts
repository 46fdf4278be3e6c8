import { launchTemplateType } from '../machines.ts';
import { resourcePolicy } from '../policy.ts';
import { at, listAt } from '../resource.ts';
import { list } from '../settings.ts';

export const machineTags = resourcePolicy({
  name: 'machine-tags',
  description: 'Machines and their disks should carry the tags that say who pays.',
  enforcement: 'mandatory',
  settings: {
    tags: list('Tags that machines and disks carry', ['mimeo:project', 'mimeo:environment']),
    kinds: list('What a launch template makes that is paid for', ['instance', 'volume']),
  },
  types: [launchTemplateType],
  check({ props }, { settings: { tags, kinds } }) {
    return kinds.flatMap((kind) => {
      const given = listAt(props, 'tagSpecifications').find((one) => at(one, 'resourceType') === kind);
      const missing = tags.filter((tag) => typeof at(given, 'tags', tag) !== 'string');
      if (missing.length === 0) return [];
      return [
        `does not tag each ${kind} with ${missing.join(', ')}, and a provider's default tags do not reach them; add them to tagSpecifications`,
      ];
    });
  },
});
