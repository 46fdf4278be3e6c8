/** Who has to act for a failed prediction to succeed next time. */
export type Fault = 'input' | 'model' | 'platform' | 'capacity' | 'budget' | 'user';

interface FailureKind {
  readonly fault: Fault;
  /** Whether the same request may succeed if it is sent again unchanged. */
  readonly retryable: boolean;
}

/** Every reason for which a job can end without succeeding. The set is closed: clients may switch on it. */
export const failureKinds = {
  input_rejected: { fault: 'input', retryable: false },
  model_error: { fault: 'model', retryable: false },
  model_crashed: { fault: 'model', retryable: true },
  output_too_large: { fault: 'model', retryable: false },
  setup_failed: { fault: 'model', retryable: false },
  setup_timed_out: { fault: 'model', retryable: true },
  image_unavailable: { fault: 'model', retryable: false },
  instance_lost: { fault: 'platform', retryable: true },
  platform_error: { fault: 'platform', retryable: true },
  capacity_unavailable: { fault: 'capacity', retryable: true },
  spending_limit: { fault: 'budget', retryable: false },
  canceled: { fault: 'user', retryable: false },
  deadline_exceeded: { fault: 'user', retryable: false },
  aborted: { fault: 'user', retryable: false },
  version_deleted: { fault: 'user', retryable: false },
} as const satisfies Record<string, FailureKind>;

export type FailureCode = keyof typeof failureKinds;

export const failureCodes = Object.keys(failureKinds) as [FailureCode, ...FailureCode[]];

/** Every way in which a call of the API can be refused, with its HTTP status and title. */
export const problemKinds = {
  invalid_request: { status: 400, title: 'The request is not valid' },
  invalid_json: { status: 400, title: 'The body is not valid JSON' },
  unauthenticated: { status: 401, title: 'Unauthenticated' },
  spending_limit: { status: 402, title: 'Payment required' },
  forbidden: { status: 403, title: 'Forbidden' },
  not_found: { status: 404, title: 'Not found' },
  method_not_allowed: { status: 405, title: 'Method not allowed' },
  conflict: { status: 409, title: 'Conflict' },
  stale_attempt: { status: 409, title: 'The lease has moved on' },
  payload_too_large: { status: 413, title: 'The body is too large' },
  unsupported_media_type: { status: 415, title: 'Unsupported media type' },
  input_invalid: { status: 422, title: 'Input validation failed' },
  invalid_body: { status: 422, title: 'The body does not have the expected shape' },
  idempotency_mismatch: { status: 422, title: 'The idempotency key belongs to another request' },
  invalid_model: { status: 422, title: 'The folder is not a Cog model that can be built' },
  protocol_unsupported: { status: 426, title: 'Unsupported protocol version' },
  rate_limited: { status: 429, title: 'Too many requests' },
  concurrency_limited: { status: 429, title: 'Too many predictions at once' },
  queue_full: { status: 429, title: 'The queue is full' },
  internal: { status: 500, title: 'Internal error' },
  unavailable: { status: 503, title: 'Service unavailable' },
} as const satisfies Record<string, { status: number; title: string }>;

export type ProblemCode = keyof typeof problemKinds;

/** RFC 9457 body with our `code`, as the API answers it. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: ProblemCode;
}

/**
 * An error that is meant for the person who caused it: `detail` says what, where and how to mend it.
 * Anything else that is thrown is a bug and is answered as `internal` without details.
 */
export class ProblemError extends Error {
  readonly code: ProblemCode;
  /** Extra response headers, such as `Retry-After`. */
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: ProblemCode, detail: string, headers: Readonly<Record<string, string>> = {}) {
    super(detail);
    this.name = 'ProblemError';
    this.code = code;
    this.headers = headers;
  }

  get status(): number {
    return problemKinds[this.code].status;
  }

  toProblem(): Problem {
    const { status, title } = problemKinds[this.code];
    return {
      type: `https://mimeo.dev/problems/${this.code}`,
      title,
      status,
      detail: this.message,
      code: this.code,
    };
  }
}

/** For switches that must cover every case: a new case is then a compile error. */
export function assertNever(value: never): never {
  throw new Error(`Unexpected value: ${JSON.stringify(value)}`);
}
