import { resourcePolicy } from '../policy.ts';
import { at, textAt } from '../resource.ts';
import { list } from '../settings.ts';

export const noExtendedSupport = resourcePolicy({
  name: 'no-extended-support',
  description:
    'A cluster should run a version in standard support, and be upgraded before extended support begins.',
  enforcement: 'mandatory',
  settings: {
    versions: list('Versions of Kubernetes in standard support', ['1.34', '1.35', '1.36']),
  },
  types: ['aws:eks/cluster:Cluster'],
  check({ props }, { settings: { versions } }) {
    const messages: string[] = [];
    if (at(props, 'upgradePolicy', 'supportType') !== 'STANDARD') {
      messages.push(
        'goes into extended support, at six times the price, when its version is old; set upgradePolicy.supportType to STANDARD',
      );
    }
    const version = textAt(props, 'version');
    if (version === undefined)
      messages.push('must have a literal version, so that an upgrade is a change of config');
    else if (!versions.includes(version)) {
      messages.push(
        `runs Kubernetes ${version}, which is not in standard support; take ${versions.join(' or ')}`,
      );
    }
    return messages;
  },
});
