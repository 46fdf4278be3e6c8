import { describe, expect, it } from 'vitest';
import type { GpuTier } from '../../../infra/components/gpu-tier.ts';
import type { GuardrailsArgs } from '../../../infra/components/guardrails.ts';
import { identity, recorded, statementsOf } from './neighbours.ts';

type Settings = GuardrailsArgs['config']['guardrails'];

const quiet: Settings = {
  monthlyBudgetUsd: 300,
  tierBudgetsUsd: {},
  alertEmails: [],
  stopAtBudget: false,
  anomalyDetection: true,
  activateCostTags: false,
};
const alertEmails = ['finance@example.com', 'platform@example.com'];

async function guard(different: Partial<Settings>, skus = ['cpu', 'gpu-t4', 'gpu-a100-small']) {
  return await recorded(async () => {
    const { output } = await import('@pulumi/pulumi');
    const { Guardrails } = await import('../../../infra/components/guardrails.ts');
    const { serviceRole } = await import('../../../infra/components/grant.ts');
    const tiers = skus.map((sku) => ({ sku, autoscalingGroupName: output(`eks-${sku}-asg`) }));
    new Guardrails('guardrails', {
      identity,
      config: { guardrails: { ...quiet, ...different } },
      tiers: tiers as unknown as readonly GpuTier[],
      autoscaler: serviceRole('autoscaler', 'pods.eks.amazonaws.com', {}),
    });
    return {};
  });
}

describe('budgets', () => {
  it('of a month are the stack’s, by its tag, and tell at 50, 80 and 100 %, and of a forecast of 100 %', async () => {
    const { inputs } = (await guard({ alertEmails })).named('guardrails-budget-monthly');
    const { notifications } = inputs as {
      notifications: readonly {
        notificationType: string;
        threshold: number;
        subscriberEmailAddresses: readonly string[];
      }[];
    };

    expect(inputs).toMatchObject({
      name: 'mimeo-dev-monthly',
      budgetType: 'COST',
      timeUnit: 'MONTHLY',
      limitAmount: '300',
      limitUnit: 'USD',
      costFilters: [{ name: 'TagKeyValue', values: ['user:mimeo:environment$dev'] }],
    });
    expect(notifications.map(({ notificationType, threshold }) => [notificationType, threshold])).toEqual([
      ['ACTUAL', 50],
      ['ACTUAL', 80],
      ['ACTUAL', 100],
      ['FORECASTED', 100],
    ]);
    for (const { subscriberEmailAddresses } of notifications)
      expect(subscriberEmailAddresses).toEqual(alertEmails);
  });

  it('of a tier are those of this environment, where config has them', async () => {
    const { all, named } = await guard({ tierBudgetsUsd: { 'gpu-t4': 100, 'gpu-h100': 50 } });

    // A tier that is off spends nothing.
    expect(all('aws:budgets/budget:Budget')).toHaveLength(2);
    expect(named('guardrails-budget-gpu-t4').inputs).toMatchObject({
      limitAmount: '100',
      filterExpression: {
        ands: [
          { tags: { key: 'mimeo:environment', values: ['dev'] } },
          { tags: { key: 'mimeo:tier', values: ['gpu-t4'] } },
        ],
      },
    });
  });

  it('are there to be looked at where nobody is to be told', async () => {
    const { all, named } = await guard({});

    expect(named('guardrails-budget-monthly').inputs.notifications).toEqual([]);
    expect(all('aws:sns/topic:Topic')).toEqual([]);
    expect(all('aws:costexplorer/anomalyMonitor:AnomalyMonitor')).toEqual([]);
    expect(all('aws:budgets/budgetAction:BudgetAction')).toEqual([]);
  });
});

describe('once the budget is spent', () => {
  it('the autoscaler is denied to make GPU groups larger, and nothing else', async () => {
    const { named } = await guard({ stopAtBudget: true, alertEmails });
    const policy = named('guardrails-no-more-gpus');
    const arnOf = (sku: string) =>
      `arn:aws:autoscaling:us-east-1:123456789012:autoScalingGroup:*:autoScalingGroupName/eks-${sku}-asg`;

    expect(statementsOf(policy)).toEqual([
      {
        Effect: 'Deny',
        Action: ['autoscaling:SetDesiredCapacity', 'autoscaling:UpdateAutoScalingGroup'],
        Resource: [arnOf('gpu-t4'), arnOf('gpu-a100-small')],
      },
    ]);
    expect(named('guardrails-stop').inputs).toMatchObject({
      budgetName: 'mimeo-dev-monthly',
      actionType: 'APPLY_IAM_POLICY',
      approvalModel: 'AUTOMATIC',
      notificationType: 'ACTUAL',
      actionThreshold: { actionThresholdType: 'PERCENTAGE', actionThresholdValue: 100 },
      definition: { iamActionDefinition: { policyArn: policy.outputs.arn, roles: ['autoscaler'] } },
      subscribers: alertEmails.map((address) => ({ subscriptionType: 'EMAIL', address })),
    });
  });

  it('AWS Budgets may attach that policy to that role, and no other to any', async () => {
    const { named } = await guard({ stopAtBudget: true, alertEmails });

    expect(statementsOf(named('guardrails-attach-guardrails-executor'))).toEqual([
      {
        Effect: 'Allow',
        Action: ['iam:AttachRolePolicy', 'iam:DetachRolePolicy'],
        Resource: [named('autoscaler').outputs.arn],
        Condition: { ArnEquals: { 'iam:PolicyARN': named('guardrails-no-more-gpus').outputs.arn } },
      },
    ]);
    expect(String(named('guardrails-executor').inputs.assumeRolePolicy)).toContain('budgets.amazonaws.com');
  });

  it('a topic is told where nobody has a mailbox for it', async () => {
    const { named } = await guard({ stopAtBudget: true });
    const { arn } = named('guardrails-alerts-topic').outputs;

    expect(named('guardrails-stop').inputs.subscribers).toEqual([{ subscriptionType: 'SNS', address: arn }]);
    expect(JSON.stringify(named('guardrails-budget-monthly').inputs.notifications)).toContain(String(arn));
    expect(statementsOf(named('guardrails-alerts-policy'))).toContainEqual(
      expect.objectContaining({ Principal: { Service: 'budgets.amazonaws.com' }, Action: 'sns:Publish' }),
    );
  });

  it('there is nothing to stop where no tier has GPUs', async () => {
    const { all } = await guard({ stopAtBudget: true }, ['cpu']);

    expect(all('aws:budgets/budgetAction:BudgetAction')).toEqual([]);
    expect(all('aws:sns/topic:Topic')).toEqual([]);
  });
});

it('unusual costs of the stack are told of by mail each day, from a twentieth of the budget on', async () => {
  const { named } = await guard({ alertEmails });
  const { monitorSpecification } = named('guardrails-anomalies').inputs;

  expect(JSON.parse(String(monitorSpecification))).toMatchObject({
    Tags: { Key: 'mimeo:environment', Values: ['dev'] },
  });
  expect(named('guardrails-anomaly-mails').inputs).toMatchObject({
    frequency: 'DAILY',
    subscribers: alertEmails.map((address) => ({ type: 'EMAIL', address })),
    thresholdExpression: { dimension: { key: 'ANOMALY_TOTAL_IMPACT_ABSOLUTE', values: ['15'] } },
  });
});

it('tags are switched on for bills by config, and stay on when the stack goes', async () => {
  const tags = (await guard({ activateCostTags: true })).all(
    'aws:costexplorer/costAllocationTag:CostAllocationTag',
  );

  expect(tags.map(({ inputs }) => inputs.tagKey)).toEqual([
    'mimeo:project',
    'mimeo:environment',
    'mimeo:tier',
  ]);
  expect(tags.every(({ retainsOnDelete }) => retainsOnDelete)).toBe(true);
});
