/** How long things take. */
export interface Times {
  /** From a pod that waits for a machine to a machine that is ready. */
  readonly nodeSeconds: number;
  /** The same where a stopped machine stands by. */
  readonly stoppedNodeSeconds: number;
  readonly imageGb: number;
  readonly pullMbPerSecond: number;
  /** A model's own `setup()`, from the start of its container. */
  readonly setupSeconds: number;
}

/** Where a default is from. */
export interface SourcedTime {
  readonly value: number;
  readonly unit: string;
  readonly source: string;
}

/** Published figures, not ours: what cannot be measured without AWS. Each can be set otherwise. */
export const publishedTimes: Readonly<Record<keyof Times, SourcedTime>> = {
  nodeSeconds: {
    value: 70,
    unit: 's',
    source:
      "about 60 s for a machine (venki.dev on Replicate's cold starts), and 10 s, the cluster autoscaler's scan interval (aws-eks-best-practices)",
  },
  stoppedNodeSeconds: {
    value: 40,
    unit: 's',
    source:
      '30 s for a node to register and be ready with its images on disk (akingscote.co.uk, "aws-eks-bottlerocket-prefetch"), and the same 10 s',
  },
  imageGb: {
    value: 9.4,
    unit: 'GB',
    source: 'the image of the measurement below; images of Cog models have 5 to 30 GB',
  },
  pullMbPerSecond: {
    value: 236,
    unit: 'MB/s',
    source:
      '9.35 GB in 39.6 s with SOCI parallel pull on AL2023, as our machines have it (aws-samples/karpenter-blueprints, blueprints/soci-snapshotter)',
  },
  setupSeconds: {
    value: 10,
    unit: 's',
    source: "about 10 s to load weights (venki.dev on Replicate's cold starts)",
  },
};

/** The published figures as times. */
export const defaultTimes: Times = {
  nodeSeconds: publishedTimes.nodeSeconds.value,
  stoppedNodeSeconds: publishedTimes.stoppedNodeSeconds.value,
  imageGb: publishedTimes.imageGb.value,
  pullMbPerSecond: publishedTimes.pullMbPerSecond.value,
  setupSeconds: publishedTimes.setupSeconds.value,
};

/** The machines of one SKU. */
export interface MachineModel {
  /** Instances that one machine holds. */
  readonly slots: number;
  readonly min: number;
  readonly max: number;
  /** Machines that stand by stopped, with the images that they have pulled. */
  readonly stopped: number;
  /** A machine without instances is given back after this long. */
  readonly idleSeconds: number;
  readonly usdPerHour: number;
}

/** What a simulation takes for granted. */
export interface World {
  readonly times: Times;
  readonly machines: MachineModel;
  /** Jobs that one instance runs at once. */
  readonly concurrency: number;
  /** Most instances at a time, of all pools. */
  readonly maxInstances: number;
}
