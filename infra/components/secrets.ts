import { randomBytes } from 'node:crypto';
import * as aws from '@pulumi/aws';
import * as pulumi from '@pulumi/pulumi';
import { streamKeyOf } from '../../services/core/signing-keys.ts';
import { physicalName } from '../names.ts';
import { Component, type StackIdentity } from './component.ts';
import { generateSecret } from './generated-secret.ts';
import { type Grantee, grant } from './grant.ts';

/** Of the key that signs URLs and seals cursors: those of the hash that it keys (RFC 2104, section 3). */
const signingKeyBytes = 32;

export interface SecretsArgs {
  readonly identity: StackIdentity;
  /** Whether a removed secret can be had back for 30 days; else it goes, and frees its name, at once. */
  readonly isProtected: boolean;
}

/**
 * The platform's own secrets: the key that signs, what is derived of it, and the first token, which the api makes and
 * puts here.
 */
export class Secrets extends Component {
  public readonly signingKeyArn: pulumi.Output<string>;
  /** Derived of it: signs URLs of streams, and nothing else. */
  public readonly streamKeyArn: pulumi.Output<string>;
  public readonly firstTokenArn: pulumi.Output<string>;
  /** Prints the first token, once the api has started. */
  public readonly firstTokenCommand: pulumi.Output<string>;

  constructor(name: string, args: SecretsArgs, opts?: pulumi.ComponentResourceOptions) {
    super('Secrets', name, opts);
    const { project, environment, region } = args.identity;
    const recoveryDays = args.isProtected ? 30 : 0;
    const signingKey = generateSecret(
      this.childName('signing-key'),
      {
        name: physicalName('secret', project, environment, 'signing-key'),
        description: 'Seals cursors and signs URLs and tokens of the fleet; 32 bytes in base64',
        recoveryDays,
        text: randomBytes(signingKeyBytes).toString('base64'),
      },
      this.child(),
    );
    const streamKey = new aws.secretsmanager.Secret(
      this.childName('stream-key'),
      {
        name: physicalName('secret', project, environment, 'stream-key'),
        description: 'Signs URLs of streams; derived of the signing key',
        recoveryWindowInDays: recoveryDays,
      },
      this.child(),
    );
    new aws.secretsmanager.SecretVersion(
      this.childName('stream-key-text'),
      { secretId: streamKey.id, secretString: pulumi.secret(signingKey.text.apply(streamKeyText)) },
      this.child(),
    );
    const firstToken = new aws.secretsmanager.Secret(
      this.childName('first-token'),
      {
        name: physicalName('secret', project, environment, 'first-token'),
        description: 'The first token, of the account admin; the api puts it here at its first start',
        recoveryWindowInDays: recoveryDays,
      },
      this.child(),
    );
    this.signingKeyArn = signingKey.arn;
    this.streamKeyArn = streamKey.arn;
    this.firstTokenArn = firstToken.arn;
    this.firstTokenCommand = pulumi.interpolate`aws secretsmanager get-secret-value --region ${region} --secret-id ${firstToken.name} --query SecretString --output text`;
    this.registerOutputs({
      signingKeyArn: this.signingKeyArn,
      streamKeyArn: this.streamKeyArn,
      firstTokenArn: this.firstTokenArn,
      firstTokenCommand: this.firstTokenCommand,
    });
  }

  /** To read the key that signs. */
  public grantSigningKey(grantee: Grantee): void {
    grant(
      this.childName('signing-key'),
      grantee,
      [{ actions: ['secretsmanager:GetSecretValue'], resources: [this.signingKeyArn] }],
      this.child(),
    );
  }

  /** To read the key that signs URLs of streams. */
  public grantStreamKey(grantee: Grantee): void {
    grant(
      this.childName('stream-key'),
      grantee,
      [{ actions: ['secretsmanager:GetSecretValue'], resources: [this.streamKeyArn] }],
      this.child(),
    );
  }

  /** For the api: to put the first token, and to see which one it is. */
  public grantFirstToken(grantee: Grantee): void {
    grant(
      this.childName('first-token'),
      grantee,
      [
        {
          actions: ['secretsmanager:GetSecretValue', 'secretsmanager:PutSecretValue'],
          resources: [this.firstTokenArn],
        },
      ],
      this.child(),
    );
  }
}

/** In a preview, and before the first update, there is no signing key yet. */
function streamKeyText(signingKey: string): string {
  return signingKey === '' ? '' : streamKeyOf(Buffer.from(signingKey, 'base64')).toString('base64');
}
