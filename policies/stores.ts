import { at, type StackResource } from './resource.ts';

const bucketTypes: readonly string[] = ['aws:s3/bucket:Bucket', 'aws:s3/bucketV2:BucketV2'];

/** All buckets of a stack. */
export function bucketsOf(resources: readonly StackResource[]): readonly StackResource[] {
  return resources.filter(({ type }) => bucketTypes.includes(type));
}

/**
 * Whether a resource such as a bucket's policy is about another. A preview knows no names, so that what a resource
 * depends on counts; where it depends on several of a kind, the name that `property` holds decides.
 */
export function isAbout(resource: StackResource, subject: StackResource, property: string): boolean {
  const candidates = resource.dependencies.filter(({ type }) => type === subject.type);
  const name = at(resource.props, property);
  const isNamed =
    typeof name === 'string' &&
    ['bucket', 'id', 'url', 'arn', 'name'].some((key) => at(subject.props, key) === name);
  if (isNamed) return true;
  return (
    candidates.some(({ urn }) => urn === subject.urn) && (candidates.length === 1 || typeof name !== 'string')
  );
}
