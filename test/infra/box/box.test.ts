import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { ListBucketsCommand } from '@aws-sdk/client-s3';
import { ListQueuesCommand } from '@aws-sdk/client-sqs';
import { Agent, getGlobalDispatcher, setGlobalDispatcher } from 'undici';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { bundleServices } from '../../../build/bundles.ts';
import { RemnantStore } from '../../../infra/cli/remnants.ts';
import { readStackConfig } from '../../../infra/plan/read-config.ts';
import { verifyLedger } from '../../../services/metering/ledger.ts';
import { describeNpmClient } from '../../clients/npm.ts';
import { describeNpmFiles } from '../../clients/npm-files.ts';
import { describePythonClient } from '../../clients/python.ts';
import { type BoxPlatform, startBoxPlatform } from '../../support/box/box-platform.ts';
import { allowing, matches, type RoleStatement, statementsOf } from '../../support/box/iam-evaluator.ts';
import { declaredPolicies } from '../../support/box/recorded-env.ts';
import { cogLabels } from '../../support/cog-labels.ts';

const repository = resolve(import.meta.dirname, '../../..');

/**
 * The stack in a box: the program of `dev` provisions an emulated cloud, and its services run from their bundles with
 * exactly the variables that their task definition and functions declare.
 */
describe('the stack in a box', () => {
  let platform: BoxPlatform;
  const before = getGlobalDispatcher();

  beforeAll(async () => {
    const bundles = join(repository, '.cache/box-bundles');
    await bundleServices(repository, bundles);
    platform = await startBoxPlatform(readStackConfig('dev', repository), bundles);
    const ca = await readFile(platform.box.certificate);
    setGlobalDispatcher(new Agent({ connect: { ca } }));
    vi.stubEnv('SSL_CERT_FILE', platform.box.certificate);
  });
  afterAll(async () => {
    setGlobalDispatcher(before);
    vi.unstubAllEnvs();
    await platform?.stop();
  });

  it('opens to its first token, which the api has put into its secret', async () => {
    const response = await fetch(`${platform.url}/v1/account`, {
      headers: { authorization: `Bearer ${platform.firstToken}` },
    });

    expect(await response.json()).toMatchObject({ username: 'admin' });
  });

  const shared = async () => ({ ...platform, stop: async () => undefined });
  describe('serves the npm client', () => describeNpmClient(shared));
  describe("serves the npm client's files", () => describeNpmFiles(shared));
  describe('serves the Python client', () => describePythonClient(shared, ['run.py', 'files.py']));

  it('makes a version of an image that was pushed, by a login for the account’s own repositories', async () => {
    const login = await platform.json('POST', '/registry/token');
    expect(login).toMatchObject({ repository_prefix: 'mimeo-dev/local' });
    const { registry, functions } = platform.box;
    const name = `${login.repository_prefix}/pushed`;
    const digest = registry.putImage(name, { labels: await cogLabels('noop') });

    await functions.invoke('registrar', pushOf(name, digest));

    const version = digest.slice('sha256:'.length);
    expect(await platform.json('GET', `/models/local/pushed/versions/${version}`)).toMatchObject({
      id: version,
    });
  });

  it('tries a webhook and keeps what came of it', async () => {
    const { id } = await platform.json('POST', '/models/local/noop/predictions', {
      input: { text: 'x' },
      webhook: 'https://receiver.invalid/hook',
      webhook_events_filter: ['completed'],
    });

    const attempts = async () => {
      const { results } = await platform.json('GET', '/webhooks/deliveries');
      const delivery = results.find(({ prediction }: { prediction: string }) => prediction === id);
      return delivery?.attempts ?? [];
    };
    // There is no such host, which is tried again later.
    await expect.poll(attempts, { timeout: 30_000 }).toHaveLength(1);
  });

  it('has metered what it ran', async () => {
    const look = async () => verifyLedger({ table: platform.table, accounts: ['local'], now: Date.now });
    await expect.poll(look).toMatchObject({ isComplete: true, onTheirWay: 0, differences: [] });

    expect(platform.box.functions.failures).toEqual([]);
  });

  it('let its services do whatever they asked of AWS', async () => {
    const { doors } = platform.box;
    const denied = [...doors].flatMap(([role, door]) => {
      expect(door.unknown).toEqual([]);
      const statements = statementsOfRole(platform, role);
      return door.calls().filter((call) => !allowing(statements, call));
    });

    expect(doors.size).toBe(5);
    expect(denied).toEqual([]);
    const pushes = [...doors.values()].flatMap((door) => door.sessionCalls());
    expect(pushes.map(({ action }) => action)).toEqual(['ecr:GetAuthorizationToken']);
    const pushRole = statementsOfRole(platform, 'role/mimeo-dev-push');
    expect(pushes.filter((call) => !allowing(pushRole, call))).toEqual([]);
  });

  it('let them do nothing that they have no use for', () => {
    const unused = [...platform.box.doors].flatMap(([role, door]) =>
      statementsOfRole(platform, role).flatMap(({ Action, Resource }) =>
        Action.filter((action) => {
          const isUsed = door
            .calls()
            .some((call) => call.action === action && Resource.some((one) => matches(one, call.resource)));
          return !isUsed && !justified.has(action) && !justified.has(`${role.split('/').at(-1)} ${action}`);
        }).map((action) => `${role.split('/').at(-1)} ${action}`),
      ),
    );

    expect(unused).toEqual([]);
  });

  it('leaves nothing behind', async () => {
    const { box } = platform;
    const { aws, clients, place, recording, provisioner } = box;
    await box.stopServices();
    vi.stubEnv('AWS_ENDPOINT_URL', aws.client.endpoint);
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'test');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'test');
    const { queuePrefix, registry } = recording.result;
    const remnants = new RemnantStore(place.region, { queuePrefix, registry });
    const made = await remnants.list();
    expect(made.queues.length).toBeGreaterThan(0);
    await remnants.remove(made);
    expect(await remnants.list()).toEqual({ queues: [], repositories: [] });
    remnants.close();
    vi.unstubAllEnvs();

    await provisioner.destroy();

    expect((await clients.sqs.send(new ListQueuesCommand({}))).QueueUrls ?? []).toEqual([]);
    expect((await clients.s3.send(new ListBucketsCommand({}))).Buckets ?? []).toEqual([]);
  });
});

/** As EventBridge hands it to a function. */
function pushOf(name: string, digest: string): object {
  return {
    version: '0',
    id: '13cde686-328b-6117-af20-0e5566167482',
    'detail-type': 'ECR Image Action',
    source: 'aws.ecr',
    account: '123456789012',
    time: new Date().toISOString(),
    region: 'us-east-1',
    resources: [],
    detail: {
      result: 'SUCCESS',
      'action-type': 'PUSH',
      'repository-name': name,
      'image-digest': digest,
      'image-tag': 'latest',
    },
  };
}

/** What this run does not come to, of everybody or of one role, with the reason. */
const justified: ReadonlyMap<string, string> = new Map([
  ['logs:CreateLogStream', 'Lambda writes the logs, by the function’s role'],
  ['logs:PutLogEvents', 'Lambda writes the logs, by the function’s role'],
  ['dynamodb:DescribeStream', 'Lambda reads the stream, by the function’s role'],
  ['dynamodb:GetRecords', 'Lambda reads the stream, by the function’s role'],
  ['dynamodb:GetShardIterator', 'Lambda reads the stream, by the function’s role'],
  ['dynamodb:ListStreams', 'Lambda reads the stream, by the function’s role'],
  ['s3:ListBucket', 'S3 answers 403 in place of 404 for what is not there without it'],
  ['s3:AbortMultipartUpload', 'an upload of more than a part that is broken off'],
  ['mimeo-dev-metering s3:PutObject', 'Lambda keeps events that failed, by the function’s role'],
  ['mimeo-dev-webhooks s3:PutObject', 'Lambda keeps events that failed, by the function’s role'],
  ['mimeo-dev-webhooks sqs:ReceiveMessage', 'Lambda polls the queue, by the function’s role'],
  ['mimeo-dev-webhooks sqs:DeleteMessage', 'Lambda polls the queue, by the function’s role'],
  ['mimeo-dev-webhooks sqs:GetQueueAttributes', 'Lambda polls the queue, by the function’s role'],
  ['mimeo-dev-webhooks sqs:ChangeMessageVisibility', 'Lambda polls the queue, by the function’s role'],
  ['mimeo-dev-registrar sqs:SendMessage', 'Lambda sends calls that failed, by the function’s role'],
  ['mimeo-dev-sweeper sqs:SendMessage', 'calls that failed; and hints of jobs that wait for a minute'],
  ['mimeo-dev-sweeper sqs:CreateQueue', 'a job whose queue is gone is sent again'],
  ['mimeo-dev-sweeper sqs:TagQueue', 'a job whose queue is gone is sent again'],
  ['mimeo-dev-sweeper sqs:GetQueueUrl', 'queues of pools that had no job for a week'],
  ['mimeo-dev-sweeper sqs:DeleteQueue', 'queues of pools that had no job for a week'],
  ['mimeo-dev-sweeper s3:DeleteObject', 'what retention removes, an hour after the end'],
  ['mimeo-dev-sweeper dynamodb:DeleteItem', 'what retention removes, an hour after the end'],
  ['mimeo-dev-sweeper dynamodb:ConditionCheckItem', 'a lease that ran out is put back'],
  ['mimeo-dev-webhooks s3:GetObject', 'a payload above 8 KB is an object'],
  ['mimeo-dev-webhooks dynamodb:DeleteItem', 'a delivery whose prediction is gone'],
  ['mimeo-dev-registrar ecr:BatchGetImage', 'ECR asks it of whoever reads an image over HTTP'],
  ['mimeo-dev-registrar ecr:GetDownloadUrlForLayer', 'ECR asks it of whoever reads an image over HTTP'],
]);

function statementsOfRole({ box }: BoxPlatform, roleArn: string): readonly RoleStatement[] {
  const name = roleArn.split('/').at(-1) ?? '';
  return (declaredPolicies(box.recording.resources).get(name) ?? []).flatMap(statementsOf);
}
