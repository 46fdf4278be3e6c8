import * as aws from '@pulumi/aws';
import * as pulumi from '@pulumi/pulumi';
import type { StackConfig } from '../config.ts';
import { physicalName } from '../names.ts';
import { Component, type StackIdentity } from './component.ts';
import { Distribution } from './distribution.ts';
import { type Grantee, grant } from './grant.ts';
import { createPrivateBucket } from './private-bucket.ts';
import { tlsOnly } from './tls-only.ts';

/** Days for which events that a function could not handle are kept. */
const failureDays = 30;
/** Days for which the key that signs can be had back, where the stack is protected. */
const keyRecoveryDays = 30;

export interface OutputsArgs {
  readonly identity: StackIdentity;
  readonly settings: StackConfig['outputs'];
  /** Web pages that may send files here and read them. */
  readonly corsOrigins: readonly string[];
  /** Whether the bucket refuses to be removed with what is in it. */
  readonly isProtected: boolean;
}

/** What services are given to reach files; those of CloudFront are set together or not at all. */
export interface OutputsVariables {
  readonly MIMEO_BUCKET: pulumi.Output<string>;
  readonly MIMEO_CLOUDFRONT_URL?: pulumi.Output<string>;
  readonly MIMEO_CLOUDFRONT_KEY_PAIR_ID?: pulumi.Output<string>;
  /** The ARN of its secret, which the service resolves. */
  readonly MIMEO_CLOUDFRONT_PRIVATE_KEY?: pulumi.Output<string>;
}

/**
 * Files and large values: a private bucket, read by URLs that CloudFront or S3 checks; and a second one for events that
 * functions could not handle.
 */
export class Outputs extends Component {
  public readonly bucketName: pulumi.Output<string>;
  public readonly bucketArn: pulumi.Output<string>;
  public readonly variables: OutputsVariables;
  /** Of the secret with the key that signs URLs; undefined where S3 signs. */
  public readonly privateKeySecretArn: pulumi.Output<string> | undefined;
  /** Of the bucket for events that failed. */
  public readonly failuresArn: pulumi.Output<string>;

  constructor(name: string, args: OutputsArgs, opts?: pulumi.ComponentResourceOptions) {
    super('Outputs', name, opts);
    const { settings, corsOrigins, isProtected } = args;
    const { accountId } = aws.getCallerIdentityOutput({}, { parent: this });
    const { project, environment } = args.identity;
    // Names of buckets are the whole world's, so the account is in them.
    const named = (what: string) =>
      accountId.apply((id) => physicalName('bucket', project, environment, what, id));
    const files = createPrivateBucket(
      this.childName('files'),
      { bucket: named('outputs'), isProtected, expireDays: settings.expireDays },
      this.child(),
    );
    const failures = createPrivateBucket(
      this.childName('failures'),
      // An event that was not billed yet may lie there.
      { bucket: named('failures'), isProtected, expireDays: failureDays },
      this.child(),
    );
    const distribution = settings.cloudFront
      ? new Distribution(
          this.childName('distribution'),
          {
            identity: args.identity,
            bucket: files,
            corsOrigins,
            recoveryDays: isProtected ? keyRecoveryDays : 0,
          },
          this.child(),
        )
      : undefined;
    this.#policy('files', files, distribution ? [readBy(distribution, files)] : []);
    this.#policy('failures', failures, []);
    if (corsOrigins.length > 0) this.#allowOrigins(files, corsOrigins);

    this.bucketName = files.bucket;
    this.bucketArn = files.arn;
    this.failuresArn = failures.arn;
    this.privateKeySecretArn = distribution?.privateKeyArn;
    this.variables = {
      MIMEO_BUCKET: files.bucket,
      ...(distribution && {
        MIMEO_CLOUDFRONT_URL: distribution.url,
        MIMEO_CLOUDFRONT_KEY_PAIR_ID: distribution.keyPairId,
        MIMEO_CLOUDFRONT_PRIVATE_KEY: distribution.privateKeyArn,
      }),
    };
    this.registerOutputs({ bucketName: this.bucketName, failuresArn: this.failuresArn });
  }

  #policy(role: string, bucket: aws.s3.Bucket, also: readonly object[]): void {
    const policy = tlsOnly('s3:*', [bucket.arn, pulumi.interpolate`${bucket.arn}/*`], also);
    new aws.s3.BucketPolicy(
      this.childName(`${role}-policy`),
      { bucket: bucket.bucket, policy },
      this.child(),
    );
  }

  #allowOrigins(bucket: aws.s3.Bucket, origins: readonly string[]): void {
    new aws.s3.BucketCorsConfiguration(
      this.childName('files-cors'),
      {
        bucket: bucket.bucket,
        corsRules: [
          {
            allowedOrigins: [...origins],
            allowedMethods: ['GET', 'HEAD', 'PUT'],
            allowedHeaders: ['content-type', 'range'],
            exposeHeaders: ['ETag'],
            maxAgeSeconds: 3600,
          },
        ],
      },
      this.child(),
    );
  }

  /** To store files, read them and sign URLs that do either. */
  public grantReadWrite(grantee: Grantee): void {
    this.#grant('read-write', grantee, [
      's3:AbortMultipartUpload',
      's3:DeleteObject',
      's3:GetObject',
      's3:PutObject',
    ]);
  }

  /** To read files and sign URLs that do. */
  public grantRead(grantee: Grantee): void {
    this.#grant('read', grantee, ['s3:GetObject']);
  }

  #grant(role: string, grantee: Grantee, actions: readonly string[]): void {
    const key = this.privateKeySecretArn;
    grant(
      this.childName(role),
      grantee,
      [
        { actions, resources: [pulumi.interpolate`${this.bucketArn}/*`] },
        // Without it S3 says of what is not there that it may not be read (GetObject, "Permissions").
        { actions: ['s3:ListBucket'], resources: [this.bucketArn] },
        ...(key ? [{ actions: ['secretsmanager:GetSecretValue'], resources: [key] }] : []),
      ],
      this.child(),
    );
  }

  /** For the sweeper: to remove files whose time is over. */
  public grantRemove(grantee: Grantee): void {
    grant(
      this.childName('remove'),
      grantee,
      [{ actions: ['s3:DeleteObject'], resources: [pulumi.interpolate`${this.bucketArn}/*`] }],
      this.child(),
    );
  }

  /** For functions: Lambda puts events there, by their own roles, that they could not handle. */
  public grantWriteFailures(grantee: Grantee): void {
    grant(
      this.childName('write-failures'),
      grantee,
      [
        { actions: ['s3:PutObject'], resources: [pulumi.interpolate`${this.failuresArn}/*`] },
        { actions: ['s3:ListBucket'], resources: [this.failuresArn] },
      ],
      this.child(),
    );
  }
}

/** Only this distribution of CloudFront reads the bucket. */
function readBy(distribution: Distribution, bucket: aws.s3.Bucket): object {
  return {
    Sid: 'ReadByDistribution',
    Effect: 'Allow',
    Principal: { Service: 'cloudfront.amazonaws.com' },
    Action: 's3:GetObject',
    Resource: pulumi.interpolate`${bucket.arn}/*`,
    Condition: { StringEquals: { 'aws:SourceArn': distribution.arn } },
  };
}
