import * as aws from '@pulumi/aws';
import * as pulumi from '@pulumi/pulumi';
import { physicalName } from '../names.ts';
import { Component, type StackIdentity } from './component.ts';
import { type Grantee, grant } from './grant.ts';

/** SQS: the longest time that a message is kept, 14 days. */
const longestRetentionSeconds = 14 * 24 * 3600;

export interface ServiceQueueArgs {
  readonly identity: StackIdentity;
  /** What its name in AWS ends with, such as `webhooks`. */
  readonly role: string;
  /** Seconds after which a message that was received and not removed is handed out again. @default 30 */
  readonly visibilitySeconds?: number;
  /** Times that a message is handed out before it goes to a queue of dead ones. @default there is none */
  readonly maxReceiveCount?: number;
  /** Services of AWS that put messages here themselves, each for one resource. @default none */
  readonly senders?: readonly { readonly service: string; readonly sourceArn: pulumi.Input<string> }[];
}

/** A queue of one service: encrypted, TLS only, with a queue of its own for what nobody could handle where wanted. */
export class ServiceQueue extends Component {
  public readonly url: pulumi.Output<string>;
  public readonly arn: pulumi.Output<string>;
  public readonly queueName: pulumi.Output<string>;
  /** Of the queue of dead messages; undefined where there is none. */
  public readonly deadLetterName: pulumi.Output<string> | undefined;

  constructor(name: string, args: ServiceQueueArgs, opts?: pulumi.ComponentResourceOptions) {
    super('ServiceQueue', name, opts);
    const { identity, role, visibilitySeconds = 30, maxReceiveCount, senders = [] } = args;
    const named = (...more: string[]) =>
      physicalName('queue', identity.project, identity.environment, role, ...more);
    const common = { sqsManagedSseEnabled: true, messageRetentionSeconds: longestRetentionSeconds };

    const deadLetter =
      maxReceiveCount === undefined
        ? undefined
        : new aws.sqs.Queue(this.childName('dead'), { name: named('dead'), ...common }, this.child());
    const redrivePolicy =
      deadLetter && pulumi.jsonStringify({ deadLetterTargetArn: deadLetter.arn, maxReceiveCount });
    const queue = new aws.sqs.Queue(
      this.childName('messages'),
      { name: named(), visibilityTimeoutSeconds: visibilitySeconds, redrivePolicy, ...common },
      this.child(),
    );
    this.#restrict('policy', queue, senders);
    if (deadLetter) {
      this.#restrict('dead-policy', deadLetter, []);
      new aws.sqs.RedriveAllowPolicy(
        this.childName('dead-from'),
        {
          queueUrl: deadLetter.url,
          redriveAllowPolicy: pulumi.jsonStringify({
            redrivePermission: 'byQueue',
            sourceQueueArns: [queue.arn],
          }),
        },
        this.child(),
      );
    }
    this.url = queue.url;
    this.arn = queue.arn;
    this.queueName = queue.name;
    this.deadLetterName = deadLetter?.name;
    this.registerOutputs({ url: this.url, arn: this.arn });
  }

  /** Lets a role put messages here. */
  grantSend(grantee: Grantee): aws.iam.RolePolicy {
    const statement = { actions: ['sqs:SendMessage'], resources: [this.arn] };
    return grant(this.childName('send'), grantee, [statement], this.child());
  }

  /** Lets a Lambda function be called with messages from here. Source: Lambda, "Using Lambda with Amazon SQS". */
  grantConsume(grantee: Grantee): aws.iam.RolePolicy {
    const actions = [
      'sqs:ReceiveMessage',
      'sqs:DeleteMessage',
      'sqs:GetQueueAttributes',
      'sqs:ChangeMessageVisibility',
    ];
    return grant(this.childName('consume'), grantee, [{ actions, resources: [this.arn] }], this.child());
  }

  #restrict(role: string, queue: aws.sqs.Queue, senders: NonNullable<ServiceQueueArgs['senders']>): void {
    const policy = pulumi.jsonStringify({
      Version: '2012-10-17',
      Statement: [
        {
          Sid: 'OnlyByTls',
          Effect: 'Deny',
          Principal: '*',
          Action: 'sqs:*',
          Resource: queue.arn,
          Condition: { Bool: { 'aws:SecureTransport': 'false' } },
        },
        ...senders.map(({ service, sourceArn }) => ({
          Effect: 'Allow',
          Principal: { Service: service },
          Action: 'sqs:SendMessage',
          Resource: queue.arn,
          Condition: { ArnEquals: { 'aws:SourceArn': sourceArn } },
        })),
      ],
    });
    new aws.sqs.QueuePolicy(this.childName(role), { queueUrl: queue.url, policy }, this.child());
  }
}
