import * as aws from '@pulumi/aws';
import * as pulumi from '@pulumi/pulumi';
import { imagePushActions } from '../../services/core/image-push.ts';
import type { StackConfig } from '../config.ts';
import { physicalName } from '../names.ts';
import { Component, type StackIdentity } from './component.ts';
import { type Grantee, grant } from './grant.ts';

export interface RegistryArgs {
  readonly identity: StackIdentity;
  readonly settings: StackConfig['registry'];
}

/**
 * The name of the role that hands out logins: the api's. The role whose sessions they are trusts it by this name, because
 * it is made before it.
 */
export function loginRoleName({ project, environment }: StackIdentity): string {
  return physicalName('role', project, environment, 'api');
}

/**
 * Where models' images lie: a prefix in the account's registry, under which a push makes its repository, shaped by a
 * template. Logins are sessions of one role that may push there; each is narrowed to one account's repositories.
 *
 * A template cannot say that images are scanned: that is a setting of the whole registry, and so the account's owner's.
 */
export class Registry extends Component {
  /** What the names of all repositories begin with; a / follows it. */
  public readonly prefix: string;
  /** REGISTRY/PREFIX, which images' names begin with. */
  public readonly address: pulumi.Output<string>;
  /** Of the role whose sessions push. */
  public readonly pushRoleArn: pulumi.Output<string>;
  readonly #repositoriesArn: pulumi.Output<string>;

  constructor(name: string, args: RegistryArgs, opts?: pulumi.ComponentResourceOptions) {
    super('Registry', name, opts);
    const { identity, settings } = args;
    const { project, environment, region } = identity;
    this.prefix = physicalName('repositoryPrefix', project, environment);
    const { accountId } = aws.getCallerIdentityOutput({}, { parent: this });
    const { partition, dnsSuffix } = aws.getPartitionOutput({}, { parent: this });
    this.address = pulumi.interpolate`${accountId}.dkr.ecr.${region}.${dnsSuffix}/${this.prefix}`;
    this.#repositoriesArn = pulumi.interpolate`arn:${partition}:ecr:${region}:${accountId}:repository/${this.prefix}/*`;
    this.#createTemplate(settings);
    if (settings.shareLayers) {
      new aws.ecr.AccountSetting(
        this.childName('share-layers'),
        { name: 'BLOB_MOUNTING', value: 'ENABLED' },
        this.child(),
      );
    }
    this.pushRoleArn = this.#createPushRole(identity, pulumi.interpolate`arn:${partition}:iam::${accountId}`);
    this.registerOutputs({ address: this.address, pushRoleArn: this.pushRoleArn });
  }

  #createTemplate({ keepImages }: StackConfig['registry']): void {
    new aws.ecr.RepositoryCreationTemplate(
      this.childName('template'),
      {
        prefix: this.prefix,
        description: 'Images of models, one repository a model',
        appliedFors: ['CREATE_ON_PUSH'],
        // A version is an image for good. `cog push` writes this one tag over and over, and no version goes by it.
        imageTagMutability: 'IMMUTABLE_WITH_EXCLUSION',
        imageTagMutabilityExclusionFilters: [{ filter: 'latest', filterType: 'WILDCARD' }],
        encryptionConfigurations: [{ encryptionType: 'AES256' }],
        ...(keepImages !== undefined && { lifecyclePolicy: keepNewest(keepImages) }),
      },
      this.child(),
    );
  }

  /** @param account `arn:PARTITION:iam::ACCOUNT` */
  #createPushRole(identity: StackIdentity, account: pulumi.Output<string>): pulumi.Output<string> {
    const { project, environment } = identity;
    const name = this.childName('push');
    const role = new aws.iam.Role(
      name,
      {
        name: physicalName('role', project, environment, 'push'),
        description: 'Its sessions push images of models',
        assumeRolePolicy: pulumi.jsonStringify({
          Version: '2012-10-17',
          Statement: [
            {
              Effect: 'Allow',
              // A role can be named as principal only once it is there; who of the account it is says the condition.
              Principal: { AWS: pulumi.interpolate`${account}:root` },
              Action: ['sts:AssumeRole'],
              Condition: {
                ArnEquals: {
                  'aws:PrincipalArn': pulumi.interpolate`${account}:role/${loginRoleName(identity)}`,
                },
              },
            },
          ],
        }),
      },
      this.child(),
    );
    grant(
      this.childName('repositories'),
      { name, role },
      [
        loginStatement,
        {
          actions: imagePushActions,
          resources: [this.#repositoriesArn],
        },
      ],
      this.child(),
    );
    return role.arn;
  }

  /** For the api, whose role must be named `loginRoleName`: to hand out logins that push. */
  public grantLogin(grantee: Grantee): void {
    grant(
      this.childName('login'),
      grantee,
      [{ actions: ['sts:AssumeRole'], resources: [this.pushRoleArn] }],
      this.child(),
    );
  }

  /** For the registrar: to read what an image says of itself. */
  public grantRead(grantee: Grantee): void {
    grant(
      this.childName('read'),
      grantee,
      [
        loginStatement,
        { actions: ['ecr:BatchGetImage', 'ecr:GetDownloadUrlForLayer'], resources: [this.#repositoriesArn] },
      ],
      this.child(),
    );
  }
}

const loginStatement = {
  actions: ['ecr:GetAuthorizationToken'],
  resources: ['*'],
  why: 'LoginIsForTheWholeRegistry',
};

function keepNewest(images: number): string {
  return JSON.stringify({
    rules: [
      {
        rulePriority: 1,
        description: `The newest ${images} images are kept`,
        selection: { tagStatus: 'any', countType: 'imageCountMoreThan', countNumber: images },
        action: { type: 'expire' },
      },
    ],
  });
}
