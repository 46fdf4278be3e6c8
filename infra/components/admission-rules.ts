import {
  modelsNamespace,
  priorityClassOf,
  skuLabel,
  tokenAudience,
} from '../../services/core/kubernetes-names.ts';

/** One rule of a ValidatingAdmissionPolicy. */
export interface AdmissionRule {
  /** CEL that must be true of a pod. */
  readonly expression: string;
  /** What whoever broke it is told. */
  readonly message: string;
}

/** The container that speaks to the api; the others run other people's code. */
export const runnerContainer = 'runner';

const spec = 'object.spec';
const volumes = `${spec}.?volumes.orValue([])`;

/** `rule` of each container `c`, of those that set up and those that are attached later as well. */
function ofEachContainer(rule: string): string {
  const kinds = ['containers', 'initContainers', 'ephemeralContainers'];
  return kinds.map((kind) => `${spec}.?${kind}.orValue([]).all(c, ${rule})`).join(' && ');
}

const security = 'c.?securityContext';
const tokens = `${volumes}.filter(v, has(v.projected) && v.projected.?sources.orValue([]).exists(s, has(s.serviceAccountToken)))`;
const volumeKinds = ['emptyDir', 'projected', 'secret', 'configMap', 'downwardAPI', 'image'];

/** What the pods of models must be like beyond pod security's `baseline`. Images of Cog run as root, so `restricted` is not to be had. */
export const modelRules: readonly AdmissionRule[] = [
  {
    expression: ofEachContainer(`'ALL' in ${security}.?capabilities.?drop.orValue([])`),
    message: 'Every container drops ALL capabilities.',
  },
  {
    expression: ofEachContainer(`${security}.?capabilities.?add.orValue([]).size() == 0`),
    message: 'No container adds a capability.',
  },
  {
    expression: ofEachContainer(`${security}.?allowPrivilegeEscalation.orValue(true) == false`),
    message: 'Every container has allowPrivilegeEscalation: false.',
  },
  {
    expression: ofEachContainer(`${security}.?privileged.orValue(false) == false`),
    message: 'No container is privileged.',
  },
  {
    expression: [
      `${spec}.?securityContext.?seccompProfile.?type.orValue('') == 'RuntimeDefault'`,
      ofEachContainer(`${security}.?seccompProfile.?type.orValue('RuntimeDefault') == 'RuntimeDefault'`),
    ].join(' && '),
    message: 'The seccomp profile is RuntimeDefault.',
  },
  {
    expression: ['hostNetwork', 'hostPID', 'hostIPC']
      .map((name) => `${spec}.?${name}.orValue(false) == false`)
      .join(' && '),
    message: "No pod shares its machine's network, processes or memory.",
  },
  {
    expression: ofEachContainer('c.?ports.orValue([]).all(p, p.?hostPort.orValue(0) == 0)'),
    message: 'No container listens on a port of its machine.',
  },
  {
    expression: `${volumes}.all(v, ${volumeKinds.map((kind) => `has(v.${kind})`).join(' || ')})`,
    message: `Volumes are of the kinds ${volumeKinds.join(', ')}: nothing of the machine.`,
  },
  {
    expression: `${spec}.?automountServiceAccountToken.orValue(true) == false`,
    message: 'A pod has automountServiceAccountToken: false.',
  },
  {
    expression: `${tokens}.all(v, v.projected.sources.all(s, !has(s.serviceAccountToken) || s.serviceAccountToken.?audience.orValue('') == '${tokenAudience}'))`,
    message: `A token of the pod's ServiceAccount is made out to ${tokenAudience}, which the API server does not take.`,
  },
  {
    expression: ofEachContainer(
      `c.name == '${runnerContainer}' || c.?volumeMounts.orValue([]).all(m, !${tokens}.exists(v, v.name == m.name))`,
    ),
    message: `Only the container ${runnerContainer} sees the pod's token.`,
  },
  {
    expression: `${spec}.?priorityClassName.orValue('') == '${priorityClassOf('')}' + ${spec}.?nodeSelector[?'${skuLabel}'].orValue('-')`,
    message: `A pod of ${modelsNamespace} names its SKU in nodeSelector and has its priority class, by which quotas count.`,
  },
];
