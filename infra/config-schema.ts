import { z } from 'zod';

const cidr = z.cidrv4({ error: 'takes a CIDR block such as 203.0.113.0/24' });
const arn = (service: string, example: string) =>
  z.string().regex(new RegExp(`^arn:[\\w-]+:${service}:`), `takes an ARN such as ${example}`);
const email = z.email({ error: 'takes an address such as platform@example.com' });
const image = z
  .string()
  .regex(/^[^\s@]+@sha256:[0-9a-f]{64}$/, 'takes an image by digest, REGISTRY/NAME@sha256:… (64 hex digits)');
const positive = z.int().positive();
const natural = z.int().nonnegative();
const usd = z.number().nonnegative();

const networkSchema = z.strictObject({
  /** Addresses of the VPC; a /16 leaves room for a pod on each. */
  cidr: cidr.default('10.40.0.0/16'),
  availabilityZones: z.int().min(2).max(3).default(2),
  /**
   * The zones by name, as many as `availabilityZones`, where the first ones do not sell what tiers are made of, say.
   * They are chosen once: other ones later are other subnets, and everything in them is made anew. @default the first
   * ones that EKS takes
   */
  zones: z
    .array(z.string().regex(/^[a-z]{2}(-[a-z]+)+-\d[a-z]$/, 'takes a zone such as us-east-1a'))
    .default([]),
  /** How machines reach the internet. `none`: they have public addresses and let nothing in. */
  nat: z.enum(['none', 'single', 'one-per-az']).default('single'),
  /** AWS services that are reached by an interface endpoint in each zone, such as `ecr.dkr`: $7.30 a month each. */
  interfaceEndpoints: z
    .array(z.string().regex(/^[a-z0-9.-]+$/, 'takes a service such as ecr.dkr'))
    .default([]),
  /** Whether what the network lets through and refuses is logged. */
  flowLogs: z.boolean().default(false),
});

const clusterSchema = z.strictObject({
  /** Kubernetes, in standard support. Machines and add-ons follow it; EKS takes one minor version at a time, up. */
  version: z
    .string()
    .regex(/^1\.\d\d$/, 'takes a version such as 1.36')
    .default('1.36'),
  /** `private` where `pulumi up` runs inside the VPC. */
  endpoint: z.enum(['public', 'private']).default('public'),
  /** Who may reach a public endpoint. */
  endpointCidrs: z.array(cidr).default([]),
  /** Principals of IAM that administer the cluster, beside the one that runs `pulumi up`. */
  administrators: z.array(arn('iam', 'arn:aws:iam::123456789012:role/platform')).default([]),
  /** Control-plane logs that are kept. */
  logs: z.array(z.enum(['api', 'audit', 'authenticator', 'controllerManager', 'scheduler'])).default([]),
  /** The arm64 machines that run the director, the autoscaler and DNS. */
  systemNodes: z
    .strictObject({
      instanceType: z.string().default('t4g.medium'),
      min: positive.default(1),
      max: positive.default(2),
    })
    .prefault({}),
});

/** One hardware of the catalogue, and the machines that provide it. */
const tierSchema = z.strictObject({
  /** Of equal shape: the autoscaler goes by the first. @default what suits the SKU where the region sells it */
  instanceTypes: z.array(z.string()).min(1).optional(),
  /**
   * Machines at least. Above 0 they cost whether or not anybody calls. EKS refuses a min above what a group has at the
   * time: before it is raised, the autoscaling group's desired capacity is.
   */
  min: natural.default(0),
  /** Machines at most. */
  max: natural,
  capacity: z.enum(['on-demand', 'spot']).default('on-demand'),
  /** Where images lie: the machine's own NVMe disks, or a fast gp3 volume, which a stopped machine keeps. */
  disk: z.enum(['instance-store', 'gp3']).default('gp3'),
  /** GB of a gp3 volume. */
  diskGb: z.int().min(200, 'takes at least 200: images of models have 5 to 30 GB').max(16_384).default(200),
  /** Machines that stand by stopped, and cost their disk only. */
  warmPool: natural.default(0),
  /** A machine with nothing to do is given back after this long. */
  scaleDownMinutes: positive.default(10),
});

const apiSchema = z.strictObject({
  /** Tasks at least and at most. */
  min: positive.default(1),
  max: positive.default(2),
  /** CPU units of a task, 1024 to a vCPU, and its MiB; Fargate has certain pairs only. */
  cpu: z
    .union([z.literal(256), z.literal(512), z.literal(1024), z.literal(2048), z.literal(4096)])
    .default(256),
  memory: z.int().min(512).default(512),
  /** Requests a minute that one task takes before another is started. */
  requestsPerTarget: positive.default(3000),
  /** The name that clients call, such as api.example.com. Without it they call the load balancer's own name. */
  domain: z
    .string()
    .regex(/^[a-z0-9-]+(\.[a-z0-9-]+)+$/, 'takes a name such as mimeo.example.com')
    .optional(),
  /** The Route 53 zone of that name, in which a certificate is proved and the name is made. */
  hostedZoneId: z
    .string()
    .regex(/^Z[A-Z0-9]+$/, 'takes a zone such as Z0123456789ABCDEFGHIJ')
    .optional(),
  /** A certificate of ACM for that name, where no zone is given. */
  certificateArn: arn('acm', 'arn:aws:acm:us-east-1:123456789012:certificate/…').optional(),
  /** Who may call. */
  allowedCidrs: z.array(cidr).default(['0.0.0.0/0']),
  /** Predictions a minute that a token may create, and its other requests; 0 is no limit. */
  predictionsPerMinute: natural.default(600),
  requestsPerMinute: natural.default(3000),
  /** Predictions of an account that wait or run at a time; 0 is no limit. */
  concurrentPerAccount: natural.default(0),
  /** Predictions that wait for one pool; 0 is no limit. */
  queuedPerPool: natural.default(10_000),
  /** Web pages that may call. */
  corsOrigins: z.array(z.string()).default([]),
  /** Input, output and logs are removed so long after a prediction's end; 0 keeps them. */
  retentionSeconds: natural.default(3600),
  /** Largest file that may be uploaded or put out, MiB. */
  maxFileMb: positive.default(1024),
});

/** What `Pulumi.<environment>.yaml` says, under `mimeo:`. Everything that is left out has a default. */
export const settingsSchema = z.strictObject({
  network: networkSchema.prefault({}),
  cluster: clusterSchema.prefault({}),
  /** By SKU. One that is left out is off. */
  tiers: z.record(z.string(), tierSchema).default({}),
  api: apiSchema.prefault({}),
  /** The services' images by digest; those left out are built from this checkout by Docker's buildx. */
  images: z
    .strictObject({ api: image.optional(), director: image.optional(), runner: image.optional() })
    .prefault({}),
  outputs: z
    .strictObject({
      /**
       * Days after which S3 removes whatever lies in the store, as a backstop. It spares nothing: examples of models
       * and what is kept for good (`api.retentionSeconds: 0`) go as well. @default never; the sweeper removes what is due
       */
      expireDays: positive.optional(),
      /** CloudFront's signed URLs; without it S3 signs. */
      cloudFront: z.boolean().default(true),
    })
    .prefault({}),
  channel: z
    .strictObject({
      /** Most that Valkey may hold and do: it costs by use. */
      maxGb: positive.max(5000).default(1),
      maxEcpuPerSecond: z.int().min(1000).max(15_000_000).default(5000),
    })
    .prefault({}),
  registry: z
    .strictObject({
      /**
       * Images of a repository that are kept, the newest. It looks at no use: versions whose images go can start no
       * more. @default all
       */
      keepImages: positive.optional(),
      /** Whether the account's repositories share layers. It holds for the whole account and region. */
      shareLayers: z.boolean().default(false),
    })
    .prefault({}),
  models: z
    .strictObject({
      /**
       * Whether models may call the internet, to fetch weights for one. `false` takes NAT and TLS, and closes every port but
       * that of TLS: the api and the store of files have public addresses that change, so 443 stays open to all of the
       * internet. A model can still send what it sees to any server by HTTPS.
       */
      internet: z.boolean().default(true),
      /** A setup that takes longer has failed. */
      setupTimeoutSeconds: positive.default(900),
      /** An instance that has had nothing to do for this long is stopped. */
      idleSeconds: positive.default(60),
      /** Most instances at a time, of all tiers. */
      maxInstances: positive.default(20),
    })
    .prefault({}),
  functions: z
    .strictObject({
      /**
       * Whether each function has as many calls set aside as it may have at a time. Lambda refuses that in an account
       * whose quota of concurrent executions is small: a new one may have 10 or 50. Without it a function is bounded by
       * what calls it: one call a shard of the table, and a number of calls for each queue.
       */
      reserveConcurrency: z.boolean().default(true),
    })
    .prefault({}),
  logs: z
    .strictObject({
      /** Days, as CloudWatch takes them. */
      retentionDays: z.literal([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731]).default(14),
      level: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
    })
    .prefault({}),
  observability: z
    .strictObject({
      dashboard: z.boolean().default(true),
      alarms: z.boolean().default(true),
      /** Who is told. */
      alarmEmails: z.array(email).default([]),
    })
    .prefault({}),
  guardrails: z
    .strictObject({
      /** What a month may cost; alerts go out at 50, 80 and 100 %, and of the forecast. */
      monthlyBudgetUsd: usd.optional(),
      /** The same for one tier, by SKU. */
      tierBudgetsUsd: z.record(z.string(), usd).default({}),
      alertEmails: z.array(email).default([]),
      /**
       * Whether GPU tiers may start nothing more once a month's budget is spent. Budgets see $0 until the account's cost
       * tags are active.
       */
      stopAtBudget: z.boolean().default(false),
      /**
       * Whether AWS looks for unusual costs of this stack and mails of them. Only the management account of an
       * organization, or an account outside of one, may have that by tag.
       */
      anomalyDetection: z.boolean().default(false),
      /** Accounts of AWS activate tags for bills once; only one stack of an account may. */
      activateCostTags: z.boolean().default(false),
    })
    .prefault({}),
  /** Micro-dollars per second by SKU, in place of the catalogue's. */
  prices: z.record(z.string(), z.int().nonnegative()).default({}),
  protection: z
    .strictObject({
      /** Whether the table, the bucket, the cluster and the load balancer refuse to be deleted. */
      deletion: z.boolean().default(false),
      /** Days that the table can be restored to, any second of them; 0 is off. */
      tableBackupDays: z.int().min(0).max(35).default(0),
    })
    .prefault({}),
});

/** What the file says, with defaults. */
export type Settings = z.infer<typeof settingsSchema>;
/** What the file says of one tier, with defaults. */
export type TierSettings = z.infer<typeof tierSchema>;
