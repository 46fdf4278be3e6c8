import { CreateRepositoryCommand, DescribeRepositoriesCommand, ECRClient } from '@aws-sdk/client-ecr';
import { CreateQueueCommand, ListQueuesCommand, SQSClient } from '@aws-sdk/client-sqs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { takeDown } from '../../../infra/cli/down.ts';
import { directorLabel, findInstancePods } from '../../../infra/cli/instance-pods.ts';
import type { RunProgram } from '../../../infra/cli/machine.ts';
import { RemnantStore } from '../../../infra/cli/remnants.ts';
import type { KeptResource } from '../../../infra/cli/stack-state.ts';
import { queueName } from '../../../services/ports/queue/sqs.ts';
import { type EmulatedAws, startEmulatedAws } from '../../support/emulated-aws.ts';

const region = 'us-east-1';
const outputs = {
  queuePrefix: 'mimeo-dev-',
  registry: '123456789012.dkr.ecr.us-east-1.amazonaws.com/mimeo/dev',
  kubeconfig: 'aws eks update-kubeconfig --name mimeo-dev',
};
const protectedTable: KeptResource = {
  type: 'aws:dynamodb/table:Table',
  name: 'table',
  id: 'mimeo-prod',
  why: 'protected',
};

/** A cluster with one pod of the director. */
const cluster: RunProgram = async (command, args) => {
  const pod = { metadata: { name: 'cog-1', namespace: 'mimeo-models' } };
  const isGet = command === 'kubectl' && args[0] === 'get';
  return { code: 0, stdout: isGet ? JSON.stringify({ items: [pod] }) : '', stderr: '' };
};

let aws: EmulatedAws;
let sqs: SQSClient;
let ecr: ECRClient;

beforeAll(async () => {
  aws = await startEmulatedAws();
  sqs = new SQSClient({ ...aws.client, region });
  ecr = new ECRClient({ ...aws.client, region });
});
afterAll(async () => {
  sqs?.destroy();
  ecr?.destroy();
  await aws?.stop();
});
beforeEach(() => {
  vi.stubEnv('AWS_ENDPOINT_URL', aws.client.endpoint);
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'test');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'test');
});
afterEach(() => {
  vi.unstubAllEnvs();
});

async function makeQueue(QueueName: string): Promise<void> {
  await sqs.send(new CreateQueueCommand({ QueueName }));
}

async function queues(): Promise<readonly string[]> {
  const { QueueUrls = [] } = await sqs.send(new ListQueuesCommand({}));
  return QueueUrls.map((url) => url.split('/').at(-1) ?? '').sort();
}

async function repositories(): Promise<readonly string[]> {
  const { repositories: found = [] } = await ecr.send(new DescribeRepositoriesCommand({}));
  return found.map(({ repositoryName = '' }) => repositoryName).sort();
}

interface Attempt {
  readonly kept?: readonly KeptResource[];
  readonly refusing?: readonly string[];
  readonly isProtected?: boolean;
  readonly answer?: boolean;
  readonly run?: RunProgram;
  readonly destroy?: (args: readonly string[], env: Readonly<Record<string, string>>) => Promise<number>;
}

async function attempt({
  kept = [],
  refusing = [],
  isProtected = false,
  answer = true,
  run = cluster,
  destroy = async () => 0,
}: Attempt): Promise<{
  readonly code: number;
  readonly said: string;
}> {
  const lines: string[] = [];
  const code = await takeDown({
    region,
    environment: 'dev',
    state: { outputs, kept, refusing, count: 3 },
    isProtected,
    run,
    say: (line) => lines.push(line),
    confirm: async () => answer,
    destroy,
  });
  return { code, said: lines.join('\n') };
}

describe('taking an environment down', () => {
  const pool = queueName(outputs.queuePrefix, 'pool-1');
  const others = ['mimeo-dev-dead', queueName('mimeo-prod-', 'pool-1')];

  beforeEach(async () => {
    for (const name of [pool, ...others]) await makeQueue(name);
    for (const repositoryName of ['mimeo/dev/ada/model', 'mimeo/development/bob/model']) {
      await ecr.send(new CreateRepositoryCommand({ repositoryName })).catch(() => undefined);
    }
  });

  it('lists what was made while it ran, and changes nothing where the person says no', async () => {
    const destroy = vi.fn(async () => 0);

    const { code, said } = await attempt({ answer: false, destroy });

    expect(code).toBe(1);
    expect(said).toContain(pool);
    expect(said).toContain('mimeo/dev/ada/model');
    expect(said).toContain('mimeo-models/cog-1');
    expect(said).toContain('3 resources of the stack.');
    expect(await queues()).toContain(pool);
    expect(destroy).not.toHaveBeenCalled();
  });

  it("removes it, and nothing that is the stack's own or another stack's", async () => {
    const { code, said } = await attempt({});

    expect(code).toBe(0);
    expect(said).toContain('dev is down.\nNothing is kept.');
    expect(await queues()).toEqual([...others].sort());
    expect(await repositories()).toEqual(['mimeo/development/bob/model']);
  });

  it('refuses at once where the configuration protects it, and says what to do', async () => {
    const destroy = vi.fn(async () => 0);

    const { code, said } = await attempt({ isProtected: true, destroy });

    expect(code).toBe(1);
    expect(said).toBe(
      'dev is protected: mimeo:protection has deletion: true in Pulumi.dev.yaml. Nothing was changed.\n' +
        'To take it down all the same: set mimeo:protection: { deletion: false } there, then npm run up -- dev (with --no-policies where a policy forbids it), then npm run down -- dev.',
    );
    expect(destroy).not.toHaveBeenCalled();
    expect(await queues()).toContain(pool);
    expect(await repositories()).toContain('mimeo/dev/ada/model');
  });

  it('refuses where AWS still would, because no up came after the configuration was changed', async () => {
    const destroy = vi.fn(async () => 0);

    const { code, said } = await attempt({ refusing: ['cluster-control-plane', 'api-balancer'], destroy });

    expect(code).toBe(1);
    expect(said).toContain('AWS still refuses to delete cluster-control-plane, api-balancer.');
    expect(said).toContain(
      'To take it down all the same: npm run up -- dev (with --no-policies where a policy forbids it), then npm run down -- dev.',
    );
    expect(destroy).not.toHaveBeenCalled();
  });

  it('keeps every image and queue until the stack is gone', async () => {
    const seen: string[] = [];

    await attempt({
      destroy: async () => {
        seen.push(...(await queues()), ...(await repositories()));
        return 0;
      },
    });

    expect(seen).toEqual(expect.arrayContaining([pool, 'mimeo/dev/ada/model']));
  });

  it('names what it could not remove once the stack is gone', async () => {
    const removal = vi.spyOn(RemnantStore.prototype, 'remove').mockRejectedValue(new Error('ExpiredToken'));
    onTestFinished(() => removal.mockRestore());

    const { code, said } = await attempt({});

    expect(code).toBe(1);
    expect(said).toContain('The stack is gone, but not all that it made: ExpiredToken');
    expect(said).toContain('Remove what is left of these by hand:');
    expect(said).toContain('  mimeo/dev/ada/model');
    expect(said).not.toContain('is down');
  });

  it('removes what the platform still made while it went', async () => {
    const late = queueName(outputs.queuePrefix, 'pool-2');

    await attempt({
      destroy: async () => {
        await makeQueue(late);
        return 0;
      },
    });

    expect(await queues()).not.toContain(late);
  });

  it('leaves what is protected, and says so', async () => {
    const destroy = vi.fn(async () => 0);

    const { said } = await attempt({ kept: [protectedTable], destroy });

    expect(destroy).toHaveBeenCalledWith(['--exclude-protected'], { PULUMI_K8S_DELETE_UNREACHABLE: 'true' });
    expect(said).toContain('Kept, and paid for until you delete it:');
    expect(said).toContain('aws:dynamodb/table:Table table (mimeo-prod): protected');
  });

  it('ends as Pulumi ended, and does not claim to be done', async () => {
    const { code, said } = await attempt({ destroy: async () => 255 });

    expect(code).toBe(255);
    expect(said).not.toContain('is down');
    expect(await repositories()).toContain('mimeo/dev/ada/model');
  });

  it('goes on where the cluster is gone', async () => {
    const run: RunProgram = async () => ({
      code: 254,
      stdout: '',
      stderr: '\nNo cluster found for name: x.\n',
    });

    const { code, said } = await attempt({ run });

    expect(code).toBe(0);
    expect(said).toContain("Models' instances cannot be listed (No cluster found for name: x.)");
  });
});

describe("the director's pods", () => {
  it('are looked for in the cluster of the stack only, by their label, and removed without waiting', async () => {
    const calls: string[] = [];
    const run: RunProgram = async (command, args, options) => {
      calls.push([command, ...args].join(' ').replace(/\/\S+\/config/, 'FILE'));
      return await cluster(command, args, options);
    };

    const pods = await findInstancePods(outputs, run, true);

    expect(pods).toEqual(['mimeo-models/cog-1']);
    const select = `--kubeconfig FILE --all-namespaces --selector ${directorLabel}`;
    expect(calls).toEqual([
      'aws eks update-kubeconfig --name mimeo-dev --kubeconfig FILE',
      `kubectl get pods ${select} --output json --request-timeout 10s`,
      `kubectl delete pods ${select} --wait=false`,
    ]);
  });

  it('are nowhere where the stack never had a cluster', async () => {
    expect(await findInstancePods({}, cluster)).toEqual({ problem: 'the stack has no cluster' });
  });
});
