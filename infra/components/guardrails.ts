import * as aws from '@pulumi/aws';
import * as pulumi from '@pulumi/pulumi';
import { defaultHardware } from '../../services/core/hardware.ts';
import type { StackConfig } from '../config.ts';
import { physicalName } from '../names.ts';
import { AlertTopic } from './alert-topic.ts';
import { Component, costTags, type StackIdentity } from './component.ts';
import type { GpuTier } from './gpu-tier.ts';
import { type Grantee, grant, serviceRole } from './grant.ts';

/** Of what was spent, and of what AWS expects of the whole month, in percent. */
const thresholds = [
  { type: 'ACTUAL', percent: 50 },
  { type: 'ACTUAL', percent: 80 },
  { type: 'ACTUAL', percent: 100 },
  { type: 'FORECASTED', percent: 100 },
] as const;
/** An anomaly of less than this share of a month's budget is not worth a mail. */
const anomalyShare = 0.05;
/** The tag that a tier's resources carry beside `costTags`. */
const tierTag = 'mimeo:tier';

export interface GuardrailsArgs {
  readonly identity: StackIdentity;
  readonly config: Pick<StackConfig, 'guardrails'>;
  readonly tiers: readonly GpuTier[];
  /** The role of the cluster autoscaler, which starts machines. */
  readonly autoscaler: Grantee;
}

/**
 * What keeps an eye on the money: budgets of the stack and of single tiers, AWS's own search for unusual costs, and, where
 * config says so, an end to new GPU machines once a month's budget is spent.
 *
 * Budgets see what carries the stack's tags, from a day after the tags were activated in the account on
 * (`activateCostTags`; AWS knows a tag only after it was on a bill, so it can be switched on a day after the first `up`).
 * AWS counts what was spent about three times a day: none of this is a limit to the dollar. Budgets are free, one with an
 * action costs $3 a month from the third on. Source: AWS Budgets, "Pricing", "Best practices".
 */
export class Guardrails extends Component {
  readonly #identity: StackIdentity;
  readonly #emails: readonly string[];
  readonly #topicArn: pulumi.Output<string> | undefined;

  constructor(name: string, args: GuardrailsArgs, opts?: pulumi.ComponentResourceOptions) {
    super('Guardrails', name, opts);
    const { identity, config, tiers, autoscaler } = args;
    const { guardrails } = config;
    this.#identity = identity;
    this.#emails = guardrails.alertEmails;
    const gpuTiers = tiers.filter(({ sku }) => hasGpu(sku));
    const stops = guardrails.stopAtBudget && gpuTiers.length > 0;
    // An action has to tell somebody: where nobody is named, a topic that others can listen to.
    if (stops && this.#emails.length === 0) {
      const topicArgs = { identity, publisher: 'budgets.amazonaws.com', emails: [] };
      this.#topicArn = new AlertTopic(this.childName('alerts'), topicArgs, { parent: this }).arn;
    }
    const environment = `user:mimeo:environment$${identity.environment}`;
    const monthly = this.#makeBudget('monthly', guardrails.monthlyBudgetUsd, {
      costFilters: [{ name: 'TagKeyValue', values: [environment] }],
    });
    for (const { sku } of tiers) {
      const usd = guardrails.tierBudgetsUsd[sku];
      if (usd !== undefined) this.#makeBudget(sku, usd, ofTier(identity, sku));
    }
    if (stops) this.#stopGpusAt(monthly, gpuTiers, autoscaler);
    if (guardrails.anomalyDetection && this.#emails.length > 0) {
      this.#findAnomalies(guardrails.monthlyBudgetUsd * anomalyShare);
    }
    if (guardrails.activateCostTags) this.#activateTags();
    this.registerOutputs({});
  }

  #makeBudget(
    role: string,
    usd: number,
    filter: Pick<aws.budgets.BudgetArgs, 'costFilters' | 'filterExpression' | 'metrics'>,
  ): aws.budgets.Budget {
    const { project, environment } = this.#identity;
    const subscribers = {
      ...(this.#emails.length > 0 ? { subscriberEmailAddresses: [...this.#emails] } : {}),
      ...(this.#topicArn ? { subscriberSnsTopicArns: [this.#topicArn] } : {}),
    };
    // A notification needs somebody to go to; without one the budget is still there to be looked at.
    const isHeard = this.#emails.length > 0 || this.#topicArn !== undefined;
    return new aws.budgets.Budget(
      this.childName(`budget-${role}`),
      {
        name: physicalName('budget', project, environment, role),
        budgetType: 'COST',
        timeUnit: 'MONTHLY',
        limitAmount: String(usd),
        limitUnit: 'USD',
        ...filter,
        notifications: (isHeard ? thresholds : []).map(({ type, percent }) => ({
          comparisonOperator: 'GREATER_THAN',
          notificationType: type,
          threshold: percent,
          thresholdType: 'PERCENTAGE',
          ...subscribers,
        })),
      },
      this.child(),
    );
  }

  /**
   * Once the month's budget is spent AWS attaches a policy to the autoscaler's role that denies it to make GPU groups
   * larger.
   *
   * What it stops: every new GPU machine that a waiting prediction would have had started. What it does not: machines
   * that run finish their work and go when they are idle, those that a group has at least (`min`) stay, and warm ones
   * stay stopped; the `cpu` tier and the control plane go on, so predictions for GPUs wait and expire by their own
   * deadlines. AWS counts costs about three times a day, so that hours may pass before it acts. A person takes it back,
   * also in the next month (docs/runbooks.md#the-budget-is-spent).
   */
  #stopGpusAt(budget: aws.budgets.Budget, tiers: readonly GpuTier[], autoscaler: Grantee): void {
    const { accountId } = aws.getCallerIdentityOutput({}, { parent: this });
    const { partition } = aws.getPartitionOutput({}, { parent: this });
    const groups = tiers.map(
      ({ autoscalingGroupName }) =>
        pulumi.interpolate`arn:${partition}:autoscaling:${this.#identity.region}:${accountId}:autoScalingGroup:*:autoScalingGroupName/${autoscalingGroupName}`,
    );
    const noMore = new aws.iam.Policy(
      this.childName('no-more-gpus'),
      {
        description: 'Attached by AWS Budgets: GPU groups grow no more',
        policy: pulumi.jsonStringify({
          Version: '2012-10-17',
          Statement: [
            {
              Effect: 'Deny',
              // Of going down there is an action of its own: TerminateInstanceInAutoScalingGroup.
              Action: ['autoscaling:SetDesiredCapacity', 'autoscaling:UpdateAutoScalingGroup'],
              Resource: groups,
            },
          ],
        }),
      },
      this.child(),
    );
    const executor = serviceRole(this.childName('executor'), 'budgets.amazonaws.com', this.child());
    const mayAttach = grant(
      this.childName('attach'),
      executor,
      [
        {
          actions: ['iam:AttachRolePolicy', 'iam:DetachRolePolicy'],
          resources: [autoscaler.role.arn],
          conditions: { ArnEquals: { 'iam:PolicyARN': noMore.arn } },
        },
      ],
      this.child(),
    );
    const subscribers = this.#topicArn
      ? [{ subscriptionType: 'SNS', address: this.#topicArn }]
      : this.#emails.map((address) => ({ subscriptionType: 'EMAIL', address }));
    new aws.budgets.BudgetAction(
      this.childName('stop'),
      {
        budgetName: budget.name,
        actionType: 'APPLY_IAM_POLICY',
        approvalModel: 'AUTOMATIC',
        notificationType: 'ACTUAL',
        actionThreshold: { actionThresholdType: 'PERCENTAGE', actionThresholdValue: 100 },
        definition: { iamActionDefinition: { policyArn: noMore.arn, roles: [autoscaler.role.name] } },
        executionRoleArn: executor.role.arn,
        subscribers,
      },
      this.child({ dependsOn: [mayAttach] }),
    );
  }

  /** @param leastUsd what an anomaly costs at least to be worth a mail */
  #findAnomalies(leastUsd: number): void {
    const { project, environment } = this.#identity;
    const name = physicalName('budget', project, environment);
    const monitor = new aws.costexplorer.AnomalyMonitor(
      this.childName('anomalies'),
      {
        name,
        monitorType: 'CUSTOM',
        // With its nulls, as AWS gives it back: otherwise each `up` would find it changed.
        monitorSpecification: JSON.stringify({
          And: null,
          CostCategories: null,
          Dimensions: null,
          Not: null,
          Or: null,
          Tags: { Key: 'mimeo:environment', MatchOptions: null, Values: [environment] },
        }),
      },
      this.child(),
    );
    new aws.costexplorer.AnomalySubscription(
      this.childName('anomaly-mails'),
      {
        name,
        // Mails go by the day or the week; only a topic is told at once.
        frequency: 'DAILY',
        monitorArnLists: [monitor.arn],
        subscribers: this.#emails.map((address) => ({ type: 'EMAIL', address })),
        thresholdExpression: {
          dimension: {
            key: 'ANOMALY_TOTAL_IMPACT_ABSOLUTE',
            matchOptions: ['GREATER_THAN_OR_EQUAL'],
            values: [String(Math.max(1, Math.round(leastUsd)))],
          },
        },
      },
      this.child(),
    );
  }

  #activateTags(): void {
    for (const tagKey of [...Object.keys(costTags(this.#identity)), tierTag]) {
      new aws.costexplorer.CostAllocationTag(
        this.childName(`tag-${tagKey.replace(':', '-')}`),
        { tagKey, status: 'Active' },
        // The account's, not the stack's: another stack's bills may be split by it.
        this.child({ retainOnDelete: true }),
      );
    }
  }
}

/** The same tier of another environment is another budget's. */
function ofTier(
  { environment }: StackIdentity,
  sku: string,
): Pick<aws.budgets.BudgetArgs, 'filterExpression' | 'metrics'> {
  return {
    metrics: 'UnblendedCost',
    filterExpression: {
      ands: [
        { tags: { key: 'mimeo:environment', values: [environment] } },
        { tags: { key: tierTag, values: [sku] } },
      ],
    },
  };
}

function hasGpu(sku: string): boolean {
  return (defaultHardware.find((one) => one.sku === sku)?.gpu ?? null) !== null;
}
