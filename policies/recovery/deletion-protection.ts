import { resourcePolicy } from '../policy.ts';
import { at, type PolicedResource } from '../resource.ts';
import { whereEnvironment } from '../settings.ts';

const bucketTypes = ['aws:s3/bucket:Bucket', 'aws:s3/bucketV2:BucketV2'];

/** The property of each type that makes AWS refuse a deletion. */
const switches: Readonly<Record<string, string>> = {
  'aws:dynamodb/table:Table': 'deletionProtectionEnabled',
  'aws:eks/cluster:Cluster': 'deletionProtection',
  'aws:lb/loadBalancer:LoadBalancer': 'enableDeletionProtection',
  'awsx:lb:ApplicationLoadBalancer': 'enableDeletionProtection',
};

export const deletionProtection = resourcePolicy({
  name: 'deletion-protection',
  description: 'In production, what holds state or is called by its name should refuse to be deleted.',
  enforcement: 'mandatory',
  settings: { production: whereEnvironment('Environments that go by the rules of production', ['prod']) },
  types: [...Object.keys(switches), ...bucketTypes],
  check(resource, { settings: { production } }) {
    if (!production) return [];
    const property = switches[resource.type];
    if (property === undefined) return bucketMistakes(resource);
    // What the engine expanded has its balancer as a child, which is looked at by itself.
    if (at(resource.props, property) === true || at(resource.props, 'loadBalancer') !== undefined) return [];
    return [`may be deleted by mistake; set ${property} to true, by protection.deletion`];
  },
});

function bucketMistakes({ props }: PolicedResource): readonly string[] {
  return at(props, 'forceDestroy') === true
    ? ['may be deleted with all that is in it; set forceDestroy to false, by protection.deletion']
    : [];
}
