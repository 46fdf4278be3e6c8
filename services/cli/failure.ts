/** How the process ends. 130 and 143 are what shells give a process that SIGINT or SIGTERM ended. */
export const exitCodes = {
  failure: 1,
  usage: 2,
  readerGone: 141,
  interrupted: 130,
  terminated: 143,
} as const;

/**
 * A failure that is meant for the person at the terminal: what, where and how to mend it, and the exit code.
 * Anything else that is thrown is a bug.
 */
export class CliError extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode: number = exitCodes.failure) {
    super(message);
    this.name = 'CliError';
    this.exitCode = exitCode;
  }
}

/** A CliError for what was typed or configured wrongly (exit code 2). */
export function usageError(message: string): CliError {
  return new CliError(message, exitCodes.usage);
}
