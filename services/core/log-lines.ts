/**
 * Lines of the services' logs that figures are made of: a message, and the fields beside it. In AWS, filters of the log
 * groups read them by these names (infra/components/service-metrics.ts), so they are named in one place, and a field that
 * is renamed does not compile.
 */
export interface MeasuredLines {
  /** Metering: a prediction or training has ended and was put into the ledger. Once for each. */
  readonly 'a job ended': {
    readonly job: string;
    readonly hardware: string;
    readonly status: string;
    /** Of its failure; null where it did not fail. */
    readonly code: string | null;
    /** From its creation to the beginning of its last attempt, or to its end where none began. */
    readonly waitSeconds: number;
    readonly billedMs: number;
    readonly costMicroUsd: number;
  };
  /** Webhooks: the messages of one call. */
  readonly 'webhooks were tried': {
    readonly tries: number;
    /** Messages that could not be handled: a fault of ours. */
    readonly failed: number;
    /** Deliveries that a receiver took, did not take this time, and will not be asked to take again. */
    readonly delivered: number;
    readonly refused: number;
    readonly dead: number;
    readonly ms: number;
  };
  /** Sweeper: the end of a round. */
  readonly swept: {
    /** Age of the oldest job that waits for an instance, whichever hardware it waits for; 0 where none does. */
    readonly oldestQueuedSeconds: number;
  };
  /** Sweeper: one hardware that is in use, each round. */
  readonly 'hardware was counted': {
    readonly hardware: string;
    /** Copies of models that start or serve, as last reported. */
    readonly instances: number;
    readonly oldestQueuedSeconds: number;
  };
  /** Sweeper: an instance that became ready in the minute before. */
  readonly 'an instance became ready': {
    readonly hardware: string;
    readonly pool: string;
    /** From the decision to start it: machine, image, weights and setup. */
    readonly coldStartSeconds: number;
  };
  /** Sweeper: the ledger and the jobs do not agree. */
  readonly 'the ledger differs: npx mimeo ledger verify': { readonly differences: number };
}

/** Writes such a line. */
export function logMeasured<Message extends keyof MeasuredLines>(
  log: (line: object, message: string) => void,
  message: Message,
  line: MeasuredLines[Message],
): void {
  log(line, message);
}
