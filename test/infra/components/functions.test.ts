import { beforeAll, describe, expect, it } from 'vitest';
import type { FunctionContext } from '../../../infra/components/function.ts';
import type { Jobs } from '../../../infra/components/jobs.ts';
import type { Outputs } from '../../../infra/components/outputs.ts';
import type { Registry } from '../../../infra/components/registry.ts';
import { reservedConcurrency } from '../../../infra/components/reserved-concurrency.ts';
import type { Secrets } from '../../../infra/components/secrets.ts';
import type { Table } from '../../../infra/components/table.ts';
import { meteringFilters, parseMeteringEnv } from '../../../services/metering/env.ts';
import { parseRegistrarEnv } from '../../../services/registrar/env.ts';
import { readPushEvent } from '../../../services/registrar/push-event.ts';
import { parseSweeperEnv, sweeperEventSchema } from '../../../services/sweeper/env.ts';
import { parseWebhooksEnv, webhookFilters } from '../../../services/webhooks/env.ts';
import { type FilterPattern, matchesFilter } from '../../support/event-filter.ts';
import { type Grants, identity, inPreview, logs, neighbours, recorded, statementsOf } from './neighbours.ts';

const grants: Grants = [];

async function program(settings: FunctionContext['settings'] = { reserveConcurrency: true }) {
  const { table, jobs, outputs, secrets, registry } = (await neighbours(grants)) as unknown as {
    table: Table;
    jobs: Jobs;
    outputs: Outputs;
    secrets: Secrets;
    registry: Registry;
  };
  const pulumi = await import('@pulumi/pulumi');
  const { Metering } = await import('../../../infra/components/metering.ts');
  const { Webhooks } = await import('../../../infra/components/webhooks.ts');
  const { Registrar } = await import('../../../infra/components/registrar.ts');
  const { Sweeper } = await import('../../../infra/components/sweeper.ts');
  const functions = { identity, logs, settings, bundles: '/bundles', table };
  const publicUrl = pulumi.output('https://mimeo.example.com');
  const webhooks = new Webhooks('webhooks', { ...functions, outputs, secrets, publicUrl });
  const metering = new Metering('metering', { ...functions, outputs });
  const registrar = new Registrar('registrar', { ...functions, registry });
  const config = { api: { retentionSeconds: 7200 } } as ConstructorParameters<typeof Sweeper>[1]['config'];
  const sweeper = new Sweeper('sweeper', { ...functions, jobs, outputs, webhooks, config });
  return {
    metering: metering.function.functionName,
    webhooks: webhooks.queueName,
    dead: webhooks.deadLetterName,
    registrar: registrar.deadLetterName,
    sweeper: sweeper.function.functionArn,
  };
}

let stack: Awaited<ReturnType<typeof recorded<Awaited<ReturnType<typeof program>>>>>;
beforeAll(async () => {
  stack = await recorded(() => program());
});

const services = ['metering', 'webhooks', 'registrar', 'sweeper'] as const;

function lambdaOf(service: string) {
  return stack.named(`${service}-function-lambda`);
}

/** The variables as the service reads them: with the texts of secrets in place of their ARNs. */
function variablesOf(service: string): NodeJS.ProcessEnv {
  const { variables } = lambdaOf(service).inputs.environment as { variables: Record<string, string> };
  const key = Buffer.alloc(32, 1).toString('base64');
  return Object.fromEntries(
    Object.entries(variables).map(([name, value]) => [
      name,
      value.startsWith('arn:aws:secretsmanager:') ? key : value,
    ]),
  );
}

describe.each(services)('the %s function', (service) => {
  it('runs the bundle on arm64, bounded in time, memory and calls', async () => {
    const { inputs } = lambdaOf(service);

    expect(inputs).toMatchObject({
      name: `mimeo-dev-${service}`,
      runtime: 'nodejs24.x',
      architectures: ['arm64'],
      handler: 'main.handler',
    });
    const { assets } = inputs.code as {
      assets: Promise<Readonly<Record<string, { path: Promise<string> }>>>;
    };
    const { 'main.mjs': main, ...others } = await assets;
    expect(await main?.path).toBe(`/bundles/${service}/main.mjs`);
    expect(others).toEqual({});
    expect(inputs.timeout).toBeLessThanOrEqual(300);
    expect(inputs.memorySize).toBeLessThanOrEqual(512);
    expect(inputs.reservedConcurrentExecutions).toBe(reservedConcurrency[service]);
  });

  it('writes to its own log group, which keeps lines for as long as config says, and to no other', () => {
    const group = stack.named(`${service}-function-logs`);
    const [statement] = statementsOf(stack.named(`${service}-function-write-logs-${service}-function-role`));

    expect(group.inputs).toMatchObject({ name: `/aws/lambda/mimeo-dev-${service}`, retentionInDays: 14 });
    expect(lambdaOf(service).inputs.loggingConfig).toEqual({
      logFormat: 'Text',
      logGroup: `/aws/lambda/mimeo-dev-${service}`,
    });
    expect(statement).toMatchObject({
      Effect: 'Allow',
      Action: ['logs:CreateLogStream', 'logs:PutLogEvents'],
      Resource: [`${group.outputs.arn}:*`],
    });
  });
});

it('functions are given what they need to start, and no more', () => {
  expect(parseMeteringEnv(variablesOf('metering')).MIMEO_TABLE).toBe('mimeo-dev');
  expect(parseWebhooksEnv(variablesOf('webhooks'))).toMatchObject({
    MIMEO_BUCKET: 'mimeo-dev-outputs',
    MIMEO_PUBLIC_URL: 'https://mimeo.example.com',
    MIMEO_WEBHOOK_PRIVATE: false,
    MIMEO_WEBHOOK_QUEUE_URL: 'https://sqs.us-east-1.amazonaws.com/123456789012/mimeo-dev-webhooks',
  });
  expect(parseRegistrarEnv(variablesOf('registrar')).MIMEO_REPOSITORY_PREFIX).toBe('mimeo-dev');
  expect(parseSweeperEnv(variablesOf('sweeper'))).toMatchObject({
    MIMEO_QUEUE_PREFIX: 'mimeo-dev-jobs-',
    MIMEO_RETENTION_SECONDS: 7200,
  });
  // Outside of the channel's network, and no signer of URLs.
  expect(variablesOf('sweeper')).not.toHaveProperty('MIMEO_CHANNEL_URL');
  expect(variablesOf('sweeper')).not.toHaveProperty('MIMEO_CLOUDFRONT_PRIVATE_KEY');
});

it('functions are granted what their stores let them do, and by nobody else', () => {
  const roleOf = (service: string) => `${service}-function-role`;

  expect(new Set(grants)).toEqual(
    new Set([
      `Table.grant ${roleOf('metering')}`,
      `Table.grantStream ${roleOf('metering')}`,
      `Outputs.grantWriteFailures ${roleOf('metering')}`,
      `Table.grant ${roleOf('webhooks')}`,
      `Table.grantStream ${roleOf('webhooks')}`,
      `Outputs.grantRead ${roleOf('webhooks')}`,
      `Outputs.grantWriteFailures ${roleOf('webhooks')}`,
      `Secrets.grantStreamKey ${roleOf('webhooks')}`,
      `Table.grant ${roleOf('registrar')}`,
      `Registry.grantRead ${roleOf('registrar')}`,
      `Table.grant ${roleOf('sweeper')}`,
      `Jobs.grantSweep ${roleOf('sweeper')}`,
      `Outputs.grantRemove ${roleOf('sweeper')}`,
    ]),
  );
});

it('no role may do anything by a wildcard', () => {
  const policies = stack.all('aws:iam/rolePolicy:RolePolicy');
  expect(policies.length).toBeGreaterThan(8);
  for (const policy of policies) {
    for (const { Action, Resource } of statementsOf(policy)) {
      expect([Action].flat().join()).not.toContain('*');
      expect([Resource].flat()).not.toContain('*');
    }
  }
});

describe.each([
  { service: 'metering', filters: meteringFilters, window: 60 },
  { service: 'webhooks', filters: webhookFilters, window: 0 },
])('the stream of the table calls $service', ({ service, filters, window }) => {
  it('with what its filters let through, and puts aside what cannot be handled', () => {
    const { inputs } = stack.named(`${service}-stream`);
    const { filters: given } = inputs.filterCriteria as { filters: readonly { pattern: string }[] };

    expect(given.map(({ pattern }) => JSON.parse(pattern) as unknown)).toEqual(filters);
    expect(inputs).toMatchObject({
      startingPosition: 'TRIM_HORIZON',
      functionResponseTypes: ['ReportBatchItemFailures'],
      bisectBatchOnFunctionError: true,
      maximumRetryAttempts: 10,
      maximumRecordAgeInSeconds: 86_400,
      maximumBatchingWindowInSeconds: window,
      destinationConfig: { onFailure: { destinationArn: 'arn:aws:s3:::mimeo-dev-failures' } },
    });
  });

  it('once its role may read it', () => {
    const { dependencies } = stack.named(`${service}-stream`);
    expect(stack.resources.filter(({ urn }) => dependencies.includes(urn)).map(({ name }) => name)).toContain(
      `${service}-function-lambda`,
    );
  });
});

describe('the queue of webhooks', () => {
  it('is encrypted, keeps a message for six calls and gives up what cannot be handled', () => {
    const queue = stack.named('webhooks-queue-messages').inputs;
    const { timeout = 0 } = lambdaOf('webhooks').inputs as { timeout?: number };

    expect(queue).toMatchObject({ name: 'mimeo-dev-webhooks', sqsManagedSseEnabled: true });
    expect(queue.visibilityTimeoutSeconds).toBeGreaterThanOrEqual(6 * timeout);
    expect(JSON.parse(String(queue.redrivePolicy))).toEqual({
      deadLetterTargetArn: stack.named('webhooks-queue-dead').outputs.arn,
      maxReceiveCount: 5,
    });
    expect(stack.named('webhooks-queue-dead').inputs).toMatchObject({ sqsManagedSseEnabled: true });
  });

  it('calls the function with partial batches, a bounded number at a time, below what is reserved', () => {
    const { inputs } = stack.named('webhooks-tries');
    const { maximumConcurrency } = inputs.scalingConfig as { maximumConcurrency: number };

    expect(inputs.functionResponseTypes).toEqual(['ReportBatchItemFailures']);
    expect(maximumConcurrency).toBeGreaterThanOrEqual(2);
    expect(maximumConcurrency).toBeLessThan(Number(lambdaOf('webhooks').inputs.reservedConcurrentExecutions));
  });
});

it('every queue refuses what does not come by TLS', () => {
  const queues = stack.all('aws:sqs/queue:Queue').map(({ outputs }) => outputs.url);
  const policies = stack.all('aws:sqs/queuePolicy:QueuePolicy');

  expect(policies.map(({ inputs }) => inputs.queueUrl).sort()).toEqual([...queues].sort());
  for (const policy of policies) {
    expect(statementsOf(policy)).toContainEqual(
      expect.objectContaining({ Effect: 'Deny', Condition: { Bool: { 'aws:SecureTransport': 'false' } } }),
    );
  }
});

describe('pushes', () => {
  const push = {
    source: 'aws.ecr',
    'detail-type': 'ECR Image Action',
    time: '2026-11-21T01:54:34Z',
    detail: {
      'action-type': 'PUSH',
      result: 'SUCCESS',
      'repository-name': 'mimeo-dev/ada/hello',
      'image-digest': `sha256:${'a'.repeat(64)}`,
    },
  };
  const pattern = () =>
    JSON.parse(String(stack.named('registrar-pushes').inputs.eventPattern)) as FilterPattern;

  it('of models call the registrar, as it reads them', () => {
    expect(matchesFilter(push, pattern())).toBe(true);
    expect(readPushEvent(push)).toMatchObject({ repository: 'mimeo-dev/ada/hello' });
  });

  it.each([
    ['of another prefix', { 'repository-name': 'mimeo-development/ada/hello' }],
    ['that failed', { result: 'FAILURE' }],
    ['that are deletions', { 'action-type': 'DELETE' }],
  ])('%s do not', (_, detail) => {
    expect(matchesFilter({ ...push, detail: { ...push.detail, ...detail } }, pattern())).toBe(false);
  });

  it('that cannot be handed over, or handled, come to one queue of dead ones', () => {
    const arn = stack.named('registrar-dead-messages').outputs.arn;
    const ruleArn = stack.named('registrar-pushes').outputs.arn;

    expect(stack.named('registrar-target').inputs.deadLetterConfig).toEqual({ arn });
    expect(stack.named('registrar-function-calls').inputs).toMatchObject({
      maximumRetryAttempts: 2,
      destinationConfig: { onFailure: { destination: arn } },
    });
    // Lambda refuses the destination of a function that may not send to it yet.
    const { dependencies } = stack.named('registrar-function-calls');
    expect(dependencies).toContain(stack.named('registrar-dead-send-registrar-function-role').urn);
    expect(statementsOf(stack.named('registrar-dead-policy'))).toContainEqual({
      Effect: 'Allow',
      Principal: { Service: 'events.amazonaws.com' },
      Action: 'sqs:SendMessage',
      Resource: arn,
      Condition: { ArnEquals: { 'aws:SourceArn': ruleArn } },
    });
    expect(stack.named('registrar-function-from-pushes').inputs).toMatchObject({
      action: 'lambda:InvokeFunction',
      principal: 'events.amazonaws.com',
      sourceArn: ruleArn,
    });
  });
});

describe('the sweeper', () => {
  const eventOf = (schedule: string) => {
    const { input } = stack.named(schedule).inputs.target as { input: string };
    return sweeperEventSchema.parse(JSON.parse(input));
  };

  it('makes a round each minute and looks at the ledger each day', () => {
    expect(stack.named('sweeper-each-minute').inputs.scheduleExpression).toBe('rate(1 minute)');
    expect(eventOf('sweeper-each-minute')).toEqual({ task: 'round' });
    expect(stack.named('sweeper-each-day').inputs.scheduleExpression).toMatch(
      /^cron\(\d+ \d+ \* \* \? \*\)$/,
    );
    expect(eventOf('sweeper-each-day')).toEqual({ task: 'ledger' });
  });

  it('does so by a role that may call nothing else', () => {
    const policies = stack
      .all('aws:iam/rolePolicy:RolePolicy')
      .filter(({ inputs }) => inputs.role === stack.named('sweeper-caller').outputs.name);

    expect(policies.flatMap(statementsOf)).toEqual([
      {
        Effect: 'Allow',
        Action: ['sqs:SendMessage'],
        Resource: [stack.named('sweeper-dead-messages').outputs.arn],
      },
      { Effect: 'Allow', Action: ['lambda:InvokeFunction'], Resource: [lambdaOf('sweeper').outputs.arn] },
    ]);
  });

  it('has room for a round beside the ledger', () => {
    expect(lambdaOf('sweeper').inputs.reservedConcurrentExecutions).toBe(2);
  });
});

it('functions set no calls aside where the account has too few, and are bounded by what calls them', async () => {
  const small = await recorded(() => program({ reserveConcurrency: false }));

  for (const { name, inputs } of small.all('aws:lambda/function:Function')) {
    expect({ name, ...inputs }).not.toHaveProperty('reservedConcurrentExecutions');
  }
  expect(small.named('webhooks-tries').inputs.scalingConfig).toEqual({ maximumConcurrency: 20 });
  for (const name of ['metering-stream', 'webhooks-stream']) {
    expect(small.named(name).inputs.parallelizationFactor).toBe(1);
  }
});

it('a preview, in which nothing is known yet, comes to the same resources', async () => {
  // Of outputs that are not known there is no result.
  const preview = await recorded(async () => void (await program()), inPreview);

  expect(preview.resources.map(({ name }) => name).sort()).toEqual(
    stack.resources.map(({ name }) => name).sort(),
  );
});
