import * as aws from '@pulumi/aws';
import * as pulumi from '@pulumi/pulumi';
import { Component, type StackIdentity } from './component.ts';

/** What the account itself may do with the key: manage it, not use it. */
const administration = [
  'kms:DescribeKey',
  'kms:GetKeyPolicy',
  'kms:PutKeyPolicy',
  'kms:ListKeyPolicies',
  'kms:EnableKey',
  'kms:DisableKey',
  'kms:GetKeyRotationStatus',
  'kms:EnableKeyRotation',
  'kms:DisableKeyRotation',
  'kms:ListResourceTags',
  'kms:TagResource',
  'kms:UntagResource',
  'kms:UpdateKeyDescription',
  'kms:ScheduleKeyDeletion',
  'kms:CancelKeyDeletion',
];

export interface AlertTopicArgs {
  readonly identity: StackIdentity;
  /** The service of AWS that publishes, such as `cloudwatch.amazonaws.com`. */
  readonly publisher: string;
  /** Who gets a mail; each confirms it once, by a link. @default nobody */
  readonly emails: readonly string[];
}

/**
 * A topic that people are alerted by. It is encrypted by a key of its own, $1 a month, because services of AWS cannot
 * publish to one that is encrypted by the account's own key for SNS.
 */
export class AlertTopic extends Component {
  /** Not before the topic may be published to. */
  public readonly arn: pulumi.Output<string>;

  constructor(name: string, args: AlertTopicArgs, opts?: pulumi.ComponentResourceOptions) {
    super('AlertTopic', name, opts);
    const { identity, publisher, emails } = args;
    const caller = aws.getCallerIdentityOutput({}, { parent: this });
    const { partition } = aws.getPartitionOutput({}, { parent: this });
    const ofThisAccount = { StringEquals: { 'aws:SourceAccount': caller.accountId } };
    const key = new aws.kms.Key(
      this.childName('key'),
      {
        description: `Alerts of ${identity.project} ${identity.environment}`,
        enableKeyRotation: true,
        deletionWindowInDays: 7,
        policy: pulumi.jsonStringify({
          Version: '2012-10-17',
          Statement: [
            {
              Effect: 'Allow',
              Principal: { AWS: pulumi.interpolate`arn:${partition}:iam::${caller.accountId}:root` },
              Action: administration,
              Resource: '*',
            },
            {
              // For whom it publishes the topic's own policy says.
              Effect: 'Allow',
              Principal: { Service: publisher },
              Action: ['kms:Decrypt', 'kms:GenerateDataKey'],
              Resource: '*',
            },
          ],
        }),
      },
      this.child(),
    );
    const topic = new aws.sns.Topic(this.childName('topic'), { kmsMasterKeyId: key.arn }, this.child());
    const policy = new aws.sns.TopicPolicy(
      this.childName('policy'),
      {
        arn: topic.arn,
        policy: pulumi.jsonStringify({
          Version: '2012-10-17',
          Statement: [
            {
              Effect: 'Allow',
              Principal: { Service: publisher },
              Action: 'sns:Publish',
              Resource: topic.arn,
              Condition: ofThisAccount,
            },
            {
              Sid: 'OnlyByTls',
              Effect: 'Deny',
              Principal: '*',
              Action: 'sns:Publish',
              Resource: topic.arn,
              Condition: { Bool: { 'aws:SecureTransport': 'false' } },
            },
          ],
        }),
      },
      this.child(),
    );
    for (const [at, endpoint] of emails.entries()) {
      new aws.sns.TopicSubscription(
        this.childName(`email-${at + 1}`),
        { topic: topic.arn, protocol: 'email', endpoint },
        this.child(),
      );
    }
    this.arn = pulumi.all([topic.arn, policy.id]).apply(([arn]) => arn);
    this.registerOutputs({ arn: this.arn });
  }
}
