/** How a model server's process ended. */
export interface CogExit {
  readonly code: number | null;
  readonly signal: string | null;
}

/** A sentence on how a process ended, for the people whose model it was. */
export function describeExit({ code, signal }: CogExit, outOfMemory = false): string {
  if (outOfMemory) return "The model's process was killed because the machine ran out of memory.";
  if (signal === 'SIGKILL' || code === 137) {
    return "The model's process was killed (SIGKILL), which is what the system does when memory runs out.";
  }
  if (signal !== null) return `The model's process was ended by the signal ${signal}.`;
  if (code !== null) return `The model's process ended with exit code ${code}.`;
  return "The model's process died.";
}
