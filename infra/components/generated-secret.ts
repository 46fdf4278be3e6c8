import * as aws from '@pulumi/aws';
import * as pulumi from '@pulumi/pulumi';

export interface GeneratedSecretArgs {
  /** As AWS shows it. */
  readonly name: string;
  readonly description: string;
  /** Days for which a removed one can be had back; 0 removes it, and frees its name, at once. */
  readonly recoveryDays: number;
  /** Made anew by each run of the program; only the first run's is ever kept. */
  readonly text: string;
}

/** A secret whose text the program made, once. */
export interface GeneratedSecret {
  readonly arn: pulumi.Output<string>;
  /** As it is kept, which is not what this run of the program made. */
  readonly text: pulumi.Output<string>;
}

/**
 * A secret with a text from this program, encrypted in the stack's state too.
 * @param name logical name; the text's is `<name>-text`
 */
export function generateSecret(
  name: string,
  { text, recoveryDays, ...args }: GeneratedSecretArgs,
  opts: pulumi.CustomResourceOptions,
): GeneratedSecret {
  const secret = new aws.secretsmanager.Secret(name, { ...args, recoveryWindowInDays: recoveryDays }, opts);
  const version = new aws.secretsmanager.SecretVersion(
    `${name}-text`,
    { secretId: secret.id, secretString: pulumi.secret(text) },
    // The first text stays; and a rotated one, whoever rotated it.
    { ...opts, ignoreChanges: ['secretString'] },
  );
  return {
    arn: secret.arn,
    text: version.secretString.apply((kept) => kept ?? ''),
  };
}
