import * as aws from '@pulumi/aws';
import type * as pulumi from '@pulumi/pulumi';

export interface PrivateBucketArgs {
  /** Of all of S3's customers it is the only one of this name. */
  readonly bucket: pulumi.Input<string>;
  /** Whether it refuses to be removed with what is in it, and stays when the stack goes. */
  readonly isProtected: boolean;
  /** Days after which what is in it is removed. @default never */
  readonly expireDays: number | undefined;
}

/**
 * A bucket that nobody outside can be let into by mistake: no public access, no access lists, encrypted. Its policy is
 * its owner's to make, once.
 * @param name logical name; the parts' are `<name>-<part>`
 */
export function createPrivateBucket(
  name: string,
  { bucket: bucketName, isProtected, expireDays }: PrivateBucketArgs,
  opts: pulumi.CustomResourceOptions,
): aws.s3.Bucket {
  const bucket = new aws.s3.Bucket(
    name,
    { bucket: bucketName, forceDestroy: !isProtected },
    { ...opts, protect: isProtected, retainOnDelete: isProtected },
  );
  new aws.s3.BucketPublicAccessBlock(
    `${name}-blocked`,
    {
      bucket: bucket.bucket,
      blockPublicAcls: true,
      blockPublicPolicy: true,
      ignorePublicAcls: true,
      restrictPublicBuckets: true,
    },
    opts,
  );
  new aws.s3.BucketOwnershipControls(
    `${name}-ownership`,
    { bucket: bucket.bucket, rule: { objectOwnership: 'BucketOwnerEnforced' } },
    opts,
  );
  new aws.s3.BucketServerSideEncryptionConfiguration(
    `${name}-encryption`,
    {
      bucket: bucket.bucket,
      // S3's own keys: they cost nothing, and signed URLs need no permission for another service's.
      rules: [{ applyServerSideEncryptionByDefault: { sseAlgorithm: 'AES256' } }],
    },
    opts,
  );
  new aws.s3.BucketLifecycleConfiguration(
    `${name}-lifecycle`,
    {
      bucket: bucket.bucket,
      rules: [
        ...(expireDays === undefined
          ? []
          : [{ id: 'expire', status: 'Enabled', filter: { prefix: '' }, expiration: { days: expireDays } }]),
        {
          id: 'abort-uploads',
          status: 'Enabled',
          filter: { prefix: '' },
          // What a process that died had sent of a file is nowhere to be seen, and billed.
          abortIncompleteMultipartUpload: { daysAfterInitiation: 1 },
        },
      ],
    },
    opts,
  );
  return bucket;
}
