/** How to start a process that serves a model. The variable PORT is left to the caller. */
export interface LaunchSpec {
  readonly command: string;
  readonly args: readonly string[];
  /** All of its environment: nothing of ours is inherited, so that no credential is. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
}
