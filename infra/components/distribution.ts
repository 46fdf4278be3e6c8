import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import * as aws from '@pulumi/aws';
import * as pulumi from '@pulumi/pulumi';
import { physicalName } from '../names.ts';
import { Component, type StackIdentity } from './component.ts';
import { generateSecret } from './generated-secret.ts';

/** CloudFront's policy "CachingDisabled": a file that was removed is gone at once, and each is read a few times only. */
const cachingDisabled = '4135ea2d-6df8-44a3-9df3-4b5a84be39ad';
/** The managed policy CORS-S3Origin. Source: CloudFront, "Use managed origin request policies". */
const corsS3Origin = '88a5eaf4-2fd4-4709-b370-b4c650ea3fcf';
/** CloudFront takes RSA keys of this size. Source: "Create key pairs for your signers". */
const keyBits = 2048;
const yearSeconds = 365 * 24 * 3600;

export interface DistributionArgs {
  readonly identity: StackIdentity;
  readonly bucket: aws.s3.Bucket;
  /** Web pages that may read files by script. */
  readonly corsOrigins: readonly string[];
  /** Days for which the key that signs can be had back once it was removed. */
  readonly recoveryDays: number;
}

/**
 * What files are read through: by URLs that the platform has signed, over HTTPS. Files are what models put out, in types
 * of their choice, so a browser is told to take none of them for a page that may do anything.
 */
export class Distribution extends Component {
  /** https://… */
  public readonly url: pulumi.Output<string>;
  public readonly arn: pulumi.Output<string>;
  /** Of the public key that signatures are checked by. */
  public readonly keyPairId: pulumi.Output<string>;
  /** Of the secret that holds the private key, as PEM. */
  public readonly privateKeyArn: pulumi.Output<string>;

  constructor(name: string, args: DistributionArgs, opts?: pulumi.ComponentResourceOptions) {
    super('Distribution', name, opts);
    const { project, environment } = args.identity;
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: keyBits });
    const secret = generateSecret(
      this.childName('signing-key'),
      {
        name: physicalName('secret', project, environment, 'files-key'),
        description: 'Signs the URLs of files for CloudFront; RSA, PEM',
        recoveryDays: args.recoveryDays,
        text: String(privateKey.export({ type: 'pkcs8', format: 'pem' })),
      },
      this.child(),
    );
    const publicKey = new aws.cloudfront.PublicKey(
      this.childName('public-key'),
      // Of the private key that is kept, not of the one that this run made. It is no secret itself.
      {
        encodedKey: pulumi.unsecret(secret.text.apply(publicPem)),
        comment: `${project} ${environment}: files`,
      },
      this.child(),
    );
    const keys = new aws.cloudfront.KeyGroup(
      this.childName('keys'),
      { items: [publicKey.id], comment: `${project} ${environment}: files` },
      this.child(),
    );
    const distribution = this.#create(args, keys);
    this.url = distribution.domainName.apply((domain) => `https://${domain}`);
    this.arn = distribution.arn;
    this.keyPairId = publicKey.id;
    this.privateKeyArn = secret.arn;
    this.registerOutputs({ url: this.url, arn: this.arn, keyPairId: this.keyPairId });
  }

  #create({ identity, bucket, corsOrigins }: DistributionArgs, keys: aws.cloudfront.KeyGroup) {
    const access = new aws.cloudfront.OriginAccessControl(
      this.childName('access'),
      { originAccessControlOriginType: 's3', signingBehavior: 'always', signingProtocol: 'sigv4' },
      this.child(),
    );
    const originId = 'files';
    return new aws.cloudfront.Distribution(
      this.childName('files'),
      {
        enabled: true,
        comment: `${identity.project} ${identity.environment}: files`,
        httpVersion: 'http2and3',
        isIpv6Enabled: true,
        priceClass: 'PriceClass_100',
        origins: [
          { originId, domainName: bucket.bucketRegionalDomainName, originAccessControlId: access.id },
        ],
        defaultCacheBehavior: {
          targetOriginId: originId,
          viewerProtocolPolicy: 'https-only',
          allowedMethods: ['GET', 'HEAD', 'OPTIONS'],
          cachedMethods: ['GET', 'HEAD'],
          cachePolicyId: cachingDisabled,
          // S3 answers a browser's question before a read by its own rules only where it hears of the page.
          ...(corsOrigins.length > 0 && { originRequestPolicyId: corsS3Origin }),
          responseHeadersPolicyId: this.#headers(corsOrigins).id,
          trustedKeyGroups: [keys.id],
          compress: false,
        },
        restrictions: { geoRestriction: { restrictionType: 'none' } },
        viewerCertificate: { cloudfrontDefaultCertificate: true },
        // A change is there for all within minutes, and nothing after it in the stack waits for that.
        waitForDeployment: false,
      },
      this.child(),
    );
  }

  #headers(corsOrigins: readonly string[]): aws.cloudfront.ResponseHeadersPolicy {
    return new aws.cloudfront.ResponseHeadersPolicy(
      this.childName('headers'),
      {
        comment: 'What models put out is no page',
        securityHeadersConfig: {
          contentTypeOptions: { override: true },
          contentSecurityPolicy: { contentSecurityPolicy: "default-src 'none'; sandbox", override: true },
          // Its address lets whoever knows it read the file.
          referrerPolicy: { referrerPolicy: 'no-referrer', override: true },
          strictTransportSecurity: { accessControlMaxAgeSec: yearSeconds, override: true },
        },
        ...(corsOrigins.length > 0 && {
          corsConfig: {
            accessControlAllowOrigins: { items: [...corsOrigins] },
            accessControlAllowMethods: { items: ['GET', 'HEAD'] },
            accessControlAllowHeaders: { items: ['Range'] },
            accessControlExposeHeaders: { items: ['Content-Length', 'Content-Range', 'ETag'] },
            accessControlAllowCredentials: false,
            originOverride: true,
          },
        }),
      },
      this.child(),
    );
  }
}

function publicPem(privatePem: string): string {
  return String(createPublicKey(privatePem).export({ type: 'spki', format: 'pem' }));
}
