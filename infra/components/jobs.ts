import * as aws from '@pulumi/aws';
import * as pulumi from '@pulumi/pulumi';
import { physicalName } from '../names.ts';
import { Component, type StackIdentity } from './component.ts';
import { type Grantee, grant } from './grant.ts';
import { tlsOnly } from './tls-only.ts';

/** What a queue's name may begin with: 40 letters of a hash follow (services/ports/queue/sqs.ts). */
const maxPrefixLength = 40;
/** SQS keeps no message for longer. */
const retentionSeconds = 14 * 24 * 3600;
/** SQS: the largest message, 1 MiB, so that whatever a queue took its dead letters' takes. */
const maxMessageBytes = 1024 * 1024;

export interface JobsArgs {
  readonly identity: StackIdentity;
}

/**
 * The queues of jobs. The platform makes one a pool as it runs; what the stack has of them is the beginning of their
 * names, which roles are granted, and the queue where their messages go that nobody removes.
 */
export class Jobs extends Component {
  /** What every queue's name begins with, at most 40 characters. */
  public readonly prefix: string;
  public readonly deadLetterArn: pulumi.Output<string>;
  public readonly deadLetterUrl: pulumi.Output<string>;
  public readonly deadLetterName: pulumi.Output<string>;
  readonly #queuesArn: pulumi.Output<string>;

  constructor(name: string, args: JobsArgs, opts?: pulumi.ComponentResourceOptions) {
    super('Jobs', name, opts);
    const { project, environment, region } = args.identity;
    this.prefix = queuePrefix(project, environment);
    const { accountId } = aws.getCallerIdentityOutput({}, { parent: this });
    const { partition } = aws.getPartitionOutput({}, { parent: this });
    this.#queuesArn = pulumi.interpolate`arn:${partition}:sqs:${region}:${accountId}:${this.prefix}*`;
    const deadLetters = new aws.sqs.Queue(
      this.childName('dead-letters'),
      {
        name: physicalName('queue', project, environment, 'dead-letters'),
        messageRetentionSeconds: retentionSeconds,
        maxMessageSize: maxMessageBytes,
        sqsManagedSseEnabled: true,
      },
      this.child(),
    );
    new aws.sqs.QueuePolicy(
      this.childName('tls-only'),
      { queueUrl: deadLetters.url, policy: tlsOnly('sqs:*', [deadLetters.arn]) },
      this.child(),
    );
    new aws.sqs.RedriveAllowPolicy(
      this.childName('redrive-allow'),
      {
        queueUrl: deadLetters.url,
        // The queues that it serves are not known yet, and ten at most can be named.
        redriveAllowPolicy: JSON.stringify({ redrivePermission: 'allowAll' }),
      },
      this.child(),
    );
    this.deadLetterArn = deadLetters.arn;
    this.deadLetterUrl = deadLetters.url;
    this.deadLetterName = deadLetters.name;
    this.registerOutputs({
      prefix: this.prefix,
      deadLetterArn: this.deadLetterArn,
      deadLetterUrl: this.deadLetterUrl,
    });
  }

  /** For the api: makes queues, sends jobs' hints and hands them out. */
  public grantUse(grantee: Grantee): void {
    this.#grant('use', grantee, [
      'sqs:ChangeMessageVisibility',
      'sqs:CreateQueue',
      'sqs:DeleteMessage',
      'sqs:GetQueueUrl',
      'sqs:ReceiveMessage',
      'sqs:SendMessage',
      'sqs:TagQueue',
    ]);
  }

  /** For the sweeper: sends hints that were lost, and removes the queues of pools that are gone. */
  public grantSweep(grantee: Grantee): void {
    this.#grant('sweep', grantee, [
      'sqs:CreateQueue',
      'sqs:DeleteQueue',
      'sqs:GetQueueUrl',
      'sqs:SendMessage',
      'sqs:TagQueue',
    ]);
  }

  #grant(what: string, grantee: Grantee, actions: readonly string[]): void {
    grant(this.childName(what), grantee, [{ actions, resources: [this.#queuesArn] }], this.child());
  }
}

/**
 * What the names of jobs' queues begin with.
 * @throws Error where the project's and the environment's names are too long together
 */
export function queuePrefix(project: string, environment: string): string {
  const prefix = `${physicalName('queue', project, environment, 'jobs')}-`;
  if (prefix.length > maxPrefixLength)
    throw new Error(`"${prefix}" is too long for what queues' names begin with: ${maxPrefixLength} at most`);
  return prefix;
}
