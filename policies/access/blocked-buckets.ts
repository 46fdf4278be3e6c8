import { stackPolicy } from '../policy.ts';
import { at, type StackResource, textAt } from '../resource.ts';
import { bucketsOf, isAbout } from '../stores.ts';

const blockType = 'aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock';
const switches = ['blockPublicAcls', 'blockPublicPolicy', 'ignorePublicAcls', 'restrictPublicBuckets'];

export const blockedBuckets = stackPolicy({
  name: 'blocked-buckets',
  description: 'Every bucket should block all public access.',
  enforcement: 'mandatory',
  check(resources) {
    const blocks = resources.filter(({ type }) => type === blockType);
    return bucketsOf(resources).flatMap((resource) => {
      const own = blocks.filter((block) => isAbout(block, resource, 'bucket'));
      return mistakes(resource, own).map((message) => ({ resource, message }));
    });
  },
});

function mistakes(bucket: StackResource, blocks: readonly StackResource[]): readonly string[] {
  const messages: string[] = [];
  const acl = textAt(bucket.props, 'acl');
  if (acl !== undefined && /public|authenticated/.test(acl)) messages.push(`has the ACL ${acl}; remove it`);
  const [block] = blocks;
  if (!block) messages.push('has no BucketPublicAccessBlock; add one with all four switches on');
  else {
    const off = switches.filter((name) => at(block.props, name) !== true);
    if (off.length > 0)
      messages.push(`does not block all public access; set ${off.join(', ')} of ${block.name} to true`);
  }
  return messages;
}
