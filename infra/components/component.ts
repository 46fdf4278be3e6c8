import * as pulumi from '@pulumi/pulumi';

/** What tells one stack's resources from another's, and who pays for them. */
export interface StackIdentity {
  /** The project's name, which all names in AWS begin with. */
  readonly project: string;
  /** The stack's name: dev, staging, prod. */
  readonly environment: string;
  /** AWS region, such as us-east-1. */
  readonly region: string;
}

/**
 * One concern of the platform. Its children's logical names are `<name>-<role>`, made by `childName`, and every child
 * has it as its parent. Names of its own are checked, because everything below is named after them.
 */
export abstract class Component extends pulumi.ComponentResource {
  readonly #name: string;

  /**
   * @param noun what it is, such as Network; its type is `mimeo:infra:<noun>`
   * @param name logical name: lower-case words joined by -
   */
  constructor(noun: string, name: string, opts?: pulumi.ComponentResourceOptions) {
    if (!/^[a-z0-9]+(-[a-z0-9]+)*$/.test(name)) {
      throw new Error(`"${name}" is no name for a component: take lower-case words joined by -`);
    }
    super(`mimeo:infra:${noun}`, name, {}, opts);
    this.#name = name;
  }

  /** The logical name of a child. */
  protected childName(role: string): string {
    return `${this.#name}-${role}`;
  }

  /** Options of a child: this is its parent. */
  protected child(opts: pulumi.CustomResourceOptions = {}): pulumi.CustomResourceOptions {
    return { parent: this, ...opts };
  }
}

/** The tags that every resource carries, so that a bill can be split; a tier adds its own. */
export function costTags(identity: StackIdentity): Readonly<Record<string, string>> {
  return {
    'mimeo:project': identity.project,
    'mimeo:environment': identity.environment,
  };
}
