import * as k8s from '@pulumi/kubernetes';
import type * as pulumi from '@pulumi/pulumi';
import {
  directorAccount,
  modelsNamespace,
  systemNamespace,
  tokenAudience,
} from '../../services/core/kubernetes-names.ts';
import type { directorEnvironment } from '../../services/director/env.ts';
import { machinesOf } from '../aws/allocatable.ts';
import type { StackConfig, TierConfig } from '../config.ts';
import { Component } from './component.ts';
import type { ServiceEnvironment } from './environment.ts';
import { directorEgress, type Surroundings } from './network-policies.ts';
import { systemContainer, systemPod } from './system-pods.ts';

export interface DirectorArgs {
  readonly models: StackConfig['models'];
  readonly logs: StackConfig['logs'];
  /** The director's image, by digest. */
  readonly image: pulumi.Output<string>;
  /** The image of the runners that it puts beside models, by digest. */
  readonly runnerImage: pulumi.Output<string>;
  readonly tiers: readonly TierConfig[];
  /** What it calls. */
  readonly fleetUrl: pulumi.Output<string>;
  readonly surroundings: Surroundings;
  /** What stands before its objects: the namespaces that they are in. */
  readonly after: readonly pulumi.Resource[];
}

const tokenFolder = '/var/run/secrets/mimeo';
/** Kubernetes puts a new token there once four fifths of this are over. */
const tokenSeconds = 3600;

/**
 * The director, which decides how many instances each model has. It proves who it is by a token of its ServiceAccount;
 * in the cluster it may make pods of models, and see which machines there are.
 */
export class Director extends Component {
  public readonly environment: ServiceEnvironment<typeof directorEnvironment>;
  readonly #args: DirectorArgs;
  /** Options of children, which come after the namespaces that they are in. */
  readonly #inside: pulumi.CustomResourceOptions;

  constructor(name: string, args: DirectorArgs, opts?: pulumi.ComponentResourceOptions) {
    super('Director', name, opts);
    this.#args = args;
    this.#inside = this.child({ dependsOn: [...args.after] });
    const { models, logs, fleetUrl } = args;
    this.environment = {
      MIMEO_URL: fleetUrl,
      MIMEO_DIRECTOR_TOKEN_FILE: `${tokenFolder}/token`,
      MIMEO_FLEET: 'kubernetes',
      MIMEO_RUNNER_IMAGE: args.runnerImage,
      MIMEO_MACHINES: JSON.stringify(machinesOf(args.tiers)),
      MIMEO_MAX_INSTANCES: String(models.maxInstances),
      MIMEO_IDLE_SECONDS: String(models.idleSeconds),
      MIMEO_SETUP_TIMEOUT_SECONDS: String(models.setupTimeoutSeconds),
      MIMEO_LOG_LEVEL: logs.level,
    };
    const access = this.#createAccess();
    const policy = new k8s.networking.v1.NetworkPolicy(
      this.childName('egress'),
      {
        metadata: { name: 'director', namespace: systemNamespace },
        spec: fleetUrl.apply((url) => directorEgress(url, args.surroundings)),
      },
      this.#inside,
    );
    this.#createDeployment([...access, policy]);
    this.registerOutputs({});
  }

  #createAccess(): readonly pulumi.Resource[] {
    const account = new k8s.core.v1.ServiceAccount(
      this.childName('account'),
      {
        metadata: { name: directorAccount, namespace: systemNamespace },
        automountServiceAccountToken: false,
      },
      this.#inside,
    );
    return [
      account,
      ...this.#bind('models', modelsNamespace, [
        {
          apiGroups: [''],
          resources: ['pods'],
          verbs: ['create', 'get', 'list', 'watch', 'patch', 'delete'],
        },
        // What a pool's pods belong to. Those that it makes, it knows by name: it lists none.
        { apiGroups: [''], resources: ['configmaps'], verbs: ['create', 'get', 'patch', 'delete'] },
        { apiGroups: [''], resources: ['events'], verbs: ['get', 'list', 'watch'] },
      ]),
      ...this.#bind('leases', systemNamespace, [
        {
          apiGroups: ['coordination.k8s.io'],
          resources: ['leases'],
          verbs: ['create', 'get', 'update'],
        },
      ]),
      ...this.#bindNodes(),
    ];
  }

  /** Lets it do what `rules` say in one namespace. */
  #bind(role: string, namespace: string, rules: AccessRules): readonly pulumi.Resource[] {
    const metadata = { name: `director-${role}`, namespace };
    return [
      new k8s.rbac.v1.Role(this.childName(`${role}-role`), { metadata, rules: [...rules] }, this.#inside),
      new k8s.rbac.v1.RoleBinding(
        this.childName(`${role}-binding`),
        { metadata, roleRef: { apiGroup, kind: 'Role', name: metadata.name }, subjects: [...subjects] },
        this.#inside,
      ),
    ];
  }

  #bindNodes(): readonly pulumi.Resource[] {
    const metadata = { name: 'mimeo-director' };
    return [
      new k8s.rbac.v1.ClusterRole(
        this.childName('nodes-role'),
        { metadata, rules: [{ apiGroups: [''], resources: ['nodes'], verbs: ['get', 'list', 'watch'] }] },
        this.#inside,
      ),
      new k8s.rbac.v1.ClusterRoleBinding(
        this.childName('nodes-binding'),
        {
          metadata,
          roleRef: { apiGroup, kind: 'ClusterRole', name: metadata.name },
          subjects: [...subjects],
        },
        this.#inside,
      ),
    ];
  }

  #createDeployment(dependsOn: readonly pulumi.Resource[]): void {
    const labels = { app: 'director' };
    new k8s.apps.v1.Deployment(
      this.childName('deployment'),
      {
        metadata: { name: 'director', namespace: systemNamespace, labels },
        spec: {
          replicas: 1,
          // The new one is there before the old one goes: a Lease says which of two decides.
          strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
          selector: { matchLabels: labels },
          template: { metadata: { labels }, spec: this.#pod() },
        },
      },
      this.child({ dependsOn: [...dependsOn] }),
    );
  }

  #pod(): k8s.types.input.core.v1.PodSpec {
    const env = Object.entries(this.environment).map(([name, value]) => ({ name, value }));
    return {
      ...systemPod,
      serviceAccountName: directorAccount,
      // The API server's token comes by itself; the one for the api stands beside it, made out to nobody else.
      automountServiceAccountToken: true,
      terminationGracePeriodSeconds: 60,
      containers: [
        {
          name: 'director',
          image: this.#args.image,
          env,
          resources: { requests: { cpu: '50m', memory: '128Mi' }, limits: { memory: '512Mi' } },
          securityContext: systemContainer,
          volumeMounts: [{ name: 'token', mountPath: tokenFolder, readOnly: true }],
        },
      ],
      volumes: [
        {
          name: 'token',
          projected: {
            sources: [
              {
                serviceAccountToken: {
                  path: 'token',
                  audience: tokenAudience,
                  expirationSeconds: tokenSeconds,
                },
              },
            ],
          },
        },
      ],
    };
  }
}

const apiGroup = 'rbac.authorization.k8s.io';
const subjects = [{ kind: 'ServiceAccount', name: directorAccount, namespace: systemNamespace }];

type AccessRules = readonly {
  readonly apiGroups: string[];
  readonly resources: string[];
  readonly verbs: string[];
}[];
