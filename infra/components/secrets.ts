import { randomBytes } from 'node:crypto';
import * as aws from '@pulumi/aws';
import * as pulumi from '@pulumi/pulumi';
import { physicalName } from '../names.ts';
import { Component, type StackIdentity } from './component.ts';
import { generateSecret } from './generated-secret.ts';
import { type Grantee, grant } from './grant.ts';

/** Of the key that signs URLs and seals cursors: those of the hash that it keys (RFC 2104, section 3). */
const signingKeyBytes = 32;

export interface SecretsArgs {
  readonly identity: StackIdentity;
}

/**
 * The platform's own secrets: the key that signs, and the first token, which the api makes and puts here. Removed with
 * the stack at once: what the key has signed is short-lived, and the token's hash goes with the table.
 */
export class Secrets extends Component {
  public readonly signingKeyArn: pulumi.Output<string>;
  public readonly firstTokenArn: pulumi.Output<string>;
  /** Prints the first token, once the api has started. */
  public readonly firstTokenCommand: pulumi.Output<string>;

  constructor(name: string, args: SecretsArgs, opts?: pulumi.ComponentResourceOptions) {
    super('Secrets', name, opts);
    const { project, environment, region } = args.identity;
    const signingKey = generateSecret(
      this.childName('signing-key'),
      {
        name: physicalName('secret', project, environment, 'signing-key'),
        description: 'Seals cursors and signs URLs and tokens of the fleet; 32 bytes in base64',
        recoveryDays: 0,
        text: randomBytes(signingKeyBytes).toString('base64'),
      },
      this.child(),
    );
    const firstToken = new aws.secretsmanager.Secret(
      this.childName('first-token'),
      {
        name: physicalName('secret', project, environment, 'first-token'),
        description: 'The first token, of the account admin; the api puts it here at its first start',
        recoveryWindowInDays: 0,
      },
      this.child(),
    );
    this.signingKeyArn = signingKey.arn;
    this.firstTokenArn = firstToken.arn;
    this.firstTokenCommand = pulumi.interpolate`aws secretsmanager get-secret-value --region ${region} --secret-id ${firstToken.name} --query SecretString --output text`;
    this.registerOutputs({
      signingKeyArn: this.signingKeyArn,
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
