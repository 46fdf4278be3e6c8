/** Types of AWS that cost nothing by themselves, by service. Those whose reason is not plain say it. */
const freeOfAws: Readonly<Record<string, readonly string[]>> = {
  // What they watch or run is charged, not the certificate, and public ones are free.
  acm: ['Certificate', 'CertificateValidation'],
  appautoscaling: ['Policy', 'Target', 'ScheduledAction'],
  autoscaling: ['Tag', 'LifecycleHook'],
  // Budgets without actions.
  budgets: ['Budget'],
  cloudfront: [
    'CachePolicy',
    'Function',
    'KeyGroup',
    'OriginAccessControl',
    'OriginRequestPolicy',
    'PublicKey',
    'ResponseHeadersPolicy',
  ],
  // Events of AWS's own services are free, and so are rules.
  cloudwatch: [
    'EventBus',
    'EventPermission',
    'EventRule',
    'EventTarget',
    'LogDataProtectionPolicy',
    'LogResourcePolicy',
  ],
  costexplorer: ['AnomalyMonitor', 'AnomalySubscription', 'CostAllocationTag', 'CostCategory'],
  dynamodb: ['ResourcePolicy'],
  // What lies in repositories is charged, with the template.
  ecr: [
    'AccountSetting',
    'LifecyclePolicy',
    'RegistryPolicy',
    'RegistryScanningConfiguration',
    'Repository',
    'RepositoryPolicy',
  ],
  // Tasks are charged, with the service.
  ecs: ['Cluster', 'ClusterCapacityProviders', 'TaskDefinition'],
  // Flow logs are charged as logs; a template as the machines that come of it.
  ec2: [
    'DefaultSecurityGroup',
    'FlowLog',
    'InternetGateway',
    'LaunchTemplate',
    'NetworkAcl',
    'Route',
    'RouteTable',
    'RouteTableAssociation',
    'SecurityGroup',
    'SecurityGroupRule',
    'Subnet',
    'Vpc',
    'VpcEndpointPolicy',
    'VpcEndpointRouteTableAssociation',
  ],
  eks: ['AccessEntry', 'AccessPolicyAssociation', 'Addon', 'PodIdentityAssociation'],
  elasticache: ['User', 'UserGroup'],
  iam: [
    'InstanceProfile',
    'OpenIdConnectProvider',
    'Policy',
    'PolicyAttachment',
    'Role',
    'RolePolicy',
    'RolePolicyAttachment',
    'ServiceLinkedRole',
  ],
  kms: ['Alias', 'KeyPolicy'],
  lambda: ['Alias', 'FunctionEventInvokeConfig', 'FunctionRecursionConfig', 'Permission'],
  // The balancer is charged.
  lb: ['Listener', 'ListenerCertificate', 'ListenerRule', 'TargetGroup', 'TargetGroupAttachment'],
  resourcegroups: ['Group'],
  // Answers for names that are aliases are free; others cost 0.40 USD a million.
  route53: ['Record'],
  s3: [
    'BucketCorsConfiguration',
    'BucketLifecycleConfiguration',
    'BucketNotification',
    'BucketOwnershipControls',
    'BucketPolicy',
    'BucketPublicAccessBlock',
    'BucketServerSideEncryptionConfiguration',
    'BucketVersioning',
  ],
  scheduler: ['ScheduleGroup'],
  secretsmanager: ['SecretPolicy', 'SecretVersion'],
  // The namespace is charged as a zone; what ECS registers there is free.
  servicediscovery: ['Service'],
  servicequotas: ['ServiceQuota'],
  // A few emails a month.
  sns: ['Topic', 'TopicPolicy', 'TopicSubscription'],
  sqs: ['QueuePolicy', 'RedriveAllowPolicy', 'RedrivePolicy'],
  vpc: ['SecurityGroupEgressRule', 'SecurityGroupIngressRule', 'SecurityGroupVpcAssociation'],
};

/** Components of awsx whose insides are free, and packages of which nothing is charged by AWS. */
const freeElsewhere: readonly string[] = ['awsx:ecr:Image', 'awsx:ecr:Repository', 'awsx:ec2:DefaultVpc'];
/** Pods stand on machines that are charged already; providers are only ways to reach a cloud. */
const freePackages: readonly string[] = ['kubernetes:', 'pulumi:', 'docker-build:', 'docker:'];

/** All free types of AWS, as `aws:sqs/queuePolicy:QueuePolicy`. */
export const freeTypes: readonly string[] = [
  ...Object.entries(freeOfAws).flatMap(([service, names]) => names.map((name) => typeOf(service, name))),
  ...freeElsewhere,
];

/** Whether a type is known to cost nothing by itself. */
export function isFree(type: string): boolean {
  return freeTypes.includes(type) || freePackages.some((prefix) => type.startsWith(prefix));
}

function typeOf(service: string, name: string): string {
  return `aws:${service}/${name.charAt(0).toLowerCase()}${name.slice(1)}:${name}`;
}
