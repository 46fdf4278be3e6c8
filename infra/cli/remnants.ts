import {
  DeleteRepositoryCommand,
  ECRClient,
  paginateDescribeRepositories,
  RepositoryNotFoundException,
} from '@aws-sdk/client-ecr';
import { DeleteQueueCommand, paginateListQueues, QueueDoesNotExist, SQSClient } from '@aws-sdk/client-sqs';
import type { StackOutputs } from './stack-state.ts';

/** What the running platform made by itself, so that Pulumi knows nothing of it. */
export interface Remnants {
  /** URLs of pools' queues. */
  readonly queues: readonly string[];
  /** Names of models' repositories. */
  readonly repositories: readonly string[];
}

/** What pools' queues are called after the prefix: a hash (services/ports/queue/sqs.ts). The stack's own are not. */
const poolPart = /^[0-9a-f]{40}$/;

/** AWS, as far as remnants go. */
export class RemnantStore {
  readonly #sqs: SQSClient;
  readonly #ecr: ECRClient;
  readonly #outputs: StackOutputs;

  /** @param region the stack's; endpoints and credentials are those of the environment */
  constructor(region: string, outputs: StackOutputs) {
    this.#sqs = new SQSClient({ region });
    this.#ecr = new ECRClient({ region });
    this.#outputs = outputs;
  }

  /** What there is now. */
  async list(): Promise<Remnants> {
    const [queues, repositories] = await Promise.all([this.#queues(), this.#repositories()]);
    return { queues, repositories };
  }

  /** Removes them, with every message and image in them. What somebody else removed meanwhile is no error. */
  async remove({ queues, repositories }: Remnants): Promise<void> {
    for (const QueueUrl of queues) {
      await this.#sqs.send(new DeleteQueueCommand({ QueueUrl })).catch(unlessGone(QueueDoesNotExist));
    }
    for (const repositoryName of repositories) {
      await this.#ecr
        .send(new DeleteRepositoryCommand({ repositoryName, force: true }))
        .catch(unlessGone(RepositoryNotFoundException));
    }
  }

  close(): void {
    this.#sqs.destroy();
    this.#ecr.destroy();
  }

  async #queues(): Promise<readonly string[]> {
    const { queuePrefix } = this.#outputs;
    // Without a prefix SQS would list all queues of the account.
    if (!queuePrefix) return [];
    const found: string[] = [];
    const pages = paginateListQueues({ client: this.#sqs, pageSize: 1000 }, { QueueNamePrefix: queuePrefix });
    for await (const { QueueUrls = [] } of pages) found.push(...QueueUrls);
    return found
      .filter((url) => poolPart.test(url.split('/').at(-1)?.slice(queuePrefix.length) ?? ''))
      .sort();
  }

  async #repositories(): Promise<readonly string[]> {
    // REGISTRY/PREFIX
    const prefix = this.#outputs.registry?.split('/').slice(1).join('/');
    if (!prefix) return [];
    const found: string[] = [];
    for await (const { repositories = [] } of paginateDescribeRepositories({ client: this.#ecr }, {})) {
      for (const { repositoryName = '' } of repositories) found.push(repositoryName);
    }
    return found.filter((name) => name.startsWith(`${prefix}/`)).sort();
  }
}

function unlessGone(gone: new (...args: never[]) => Error): (error: unknown) => undefined {
  return (error) => {
    if (!(error instanceof gone)) throw error;
    return undefined;
  };
}
