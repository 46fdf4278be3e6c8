import * as k8s from '@pulumi/kubernetes';
import * as pulumi from '@pulumi/pulumi';
import {
  gpuResource,
  modelsLabel,
  modelsNamespace,
  priorityClassOf,
  runnerAccount,
} from '../../services/core/kubernetes-names.ts';
import { gpusOf, instancesPerMachine } from '../aws/allocatable.ts';
import type { StackConfig, TierConfig } from '../config.ts';
import { modelRules } from './admission-rules.ts';
import { Component } from './component.ts';
import { denyAll, modelsEgress, type Surroundings } from './network-policies.ts';

export interface ModelsNamespaceArgs {
  readonly models: StackConfig['models'];
  readonly tiers: readonly TierConfig[];
  /** What runners call. */
  readonly fleetUrl: pulumi.Output<string>;
  readonly surroundings: Surroundings;
}

/** The namespace of models, which run other people's code: what its pods may be, reach and use up. */
export class ModelsNamespace extends Component {
  public readonly namespace = modelsNamespace;
  /** The namespace itself, which what is in it comes after. */
  public readonly created: pulumi.Resource;
  readonly #args: ModelsNamespaceArgs;

  constructor(name: string, args: ModelsNamespaceArgs, opts?: pulumi.ComponentResourceOptions) {
    super('ModelsNamespace', name, opts);
    this.#args = args;
    const rules = this.#createAdmission();
    const namespace = new k8s.core.v1.Namespace(
      this.childName('namespace'),
      {
        metadata: {
          name: modelsNamespace,
          labels: {
            [modelsLabel]: 'true',
            'pod-security.kubernetes.io/enforce': 'baseline',
            'pod-security.kubernetes.io/enforce-version': 'latest',
          },
        },
      },
      // The rules hold before there is anywhere to break them.
      this.child({ dependsOn: [...rules] }),
    );
    this.created = namespace;
    const inside = this.child({ dependsOn: [namespace] });
    this.#createAccount(inside);
    this.#createNetworkPolicies(inside);
    this.#createQuotas(inside);
    this.registerOutputs({ namespace: modelsNamespace });
  }

  #createAdmission(): readonly pulumi.Resource[] {
    const name = 'mimeo-models';
    const policy = new k8s.admissionregistration.v1.ValidatingAdmissionPolicy(
      this.childName('rules'),
      {
        metadata: { name },
        spec: {
          failurePolicy: 'Fail',
          matchConstraints: {
            resourceRules: [
              {
                apiGroups: [''],
                apiVersions: ['v1'],
                operations: ['CREATE', 'UPDATE'],
                resources: ['pods', 'pods/ephemeralcontainers'],
              },
            ],
          },
          validations: modelRules.map((rule) => ({ ...rule, reason: 'Forbidden' })),
        },
      },
      this.child(),
    );
    const binding = new k8s.admissionregistration.v1.ValidatingAdmissionPolicyBinding(
      this.childName('rules-binding'),
      {
        metadata: { name },
        spec: {
          policyName: name,
          validationActions: ['Deny'],
          matchResources: { namespaceSelector: { matchLabels: { [modelsLabel]: 'true' } } },
        },
      },
      this.child({ dependsOn: [policy] }),
    );
    return [policy, binding];
  }

  /** Whose token runners prove themselves by to the api; it may do nothing in the cluster. */
  #createAccount(opts: pulumi.CustomResourceOptions): void {
    new k8s.core.v1.ServiceAccount(
      this.childName('runner'),
      {
        metadata: { name: runnerAccount, namespace: modelsNamespace },
        automountServiceAccountToken: false,
      },
      opts,
    );
  }

  #createNetworkPolicies(opts: pulumi.CustomResourceOptions): void {
    const { fleetUrl, models, surroundings } = this.#args;
    const egress = fleetUrl.apply((url) => modelsEgress(url, models.internet, surroundings));
    for (const [role, spec] of Object.entries({ 'deny-all': pulumi.output(denyAll), egress })) {
      new k8s.networking.v1.NetworkPolicy(
        this.childName(role),
        { metadata: { name: role, namespace: modelsNamespace }, spec },
        opts,
      );
    }
  }

  /** Pods of a tier are as many as its machines take: what is more could only wait. */
  #createQuotas(opts: pulumi.CustomResourceOptions): void {
    const { tiers, models } = this.#args;
    for (const tier of tiers) {
      const priorityClass = new k8s.scheduling.v1.PriorityClass(
        this.childName(`priority-${tier.sku}`),
        {
          metadata: { name: priorityClassOf(tier.sku) },
          description: `Models on ${tier.sku}`,
          value: modelPriority,
          // An instance that works is never ended for one that starts.
          preemptionPolicy: 'Never',
          globalDefault: false,
        },
        this.child(),
      );
      new k8s.core.v1.ResourceQuota(
        this.childName(`quota-${tier.sku}`),
        {
          metadata: { name: tier.sku, namespace: modelsNamespace },
          spec: {
            hard: { pods: String(tier.max * instancesPerMachine(tier)) },
            scopeSelector: {
              matchExpressions: [
                { scopeName: 'PriorityClass', operator: 'In', values: [priorityClassOf(tier.sku)] },
              ],
            },
          },
        },
        pulumi.mergeOptions(opts, { dependsOn: [priorityClass] }),
      );
    }
    const gpus = tiers.reduce((sum, tier) => sum + tier.max * gpusOf(tier), 0);
    new k8s.core.v1.ResourceQuota(
      this.childName('quota'),
      {
        metadata: { name: 'all', namespace: modelsNamespace },
        spec: {
          hard: { pods: String(models.maxInstances), [`requests.${gpuResource}`]: String(gpus) },
        },
      },
      opts,
    );
  }
}

/** Below that of the platform's own pods. */
const modelPriority = 1000;
