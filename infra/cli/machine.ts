import { spawn } from 'node:child_process';
import { once } from 'node:events';

/** How a program ended that was run for what it says. */
export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What runs programs: a seam, so that every answer of a machine can be tried. Never throws: 127 is a program that is not there. */
export type RunProgram = (
  command: string,
  args: readonly string[],
  options?: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv },
) => Promise<Ended>;

/** What of the tools is on this machine; versions without a `v`, null where there is none. */
export interface Machine {
  readonly pulumi: {
    /** Empty for a build that does not say. */
    readonly version: string;
    /** Who is logged in to which backend; null where nobody is. */
    readonly user: string | null;
  } | null;
  /** That of PATH: what Pulumi's language host starts. */
  readonly node: string | null;
  readonly awsCli: string | null;
  readonly docker: {
    /** null: the daemon does not answer. */
    readonly server: string | null;
    readonly buildx: string | null;
  } | null;
}

/** A program that hangs is as good as none. */
const programTimeoutMs = 20_000;

export const runProgram: RunProgram = async (command, args, options = {}) => {
  const child = spawn(command, args, {
    ...options,
    stdio: ['ignore', 'pipe', 'pipe'],
    // Not `timeout`, whose clock keeps this process waiting where there is no such program.
    signal: AbortSignal.timeout(programTimeoutMs),
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk) => {
    stdout += String(chunk);
  });
  child.stderr.on('data', (chunk) => {
    stderr += String(chunk);
  });
  try {
    const [code] = await once(child, 'close');
    return { code: typeof code === 'number' ? code : 1, stdout, stderr };
  } catch (error) {
    return {
      code: child.pid === undefined ? 127 : 1,
      stdout,
      stderr: error instanceof Error ? error.message : String(error),
    };
  }
};

/**
 * Looks at what is on this machine.
 * @param root where Pulumi.yaml lies
 */
export async function lookAtMachine(root: string, run: RunProgram): Promise<Machine> {
  const [version, user, node, awsCli, docker, buildx] = await Promise.all([
    run('pulumi', ['version']),
    run('pulumi', ['whoami', '--non-interactive'], { cwd: root }),
    run('node', ['--version']),
    run('aws', ['--version']),
    run('docker', ['version', '--format', '{{.Server.Version}}']),
    run('docker', ['buildx', 'version']),
  ]);
  return {
    pulumi:
      version.code === 0
        ? { version: bare(version.stdout), user: user.code === 0 ? user.stdout.trim() : null }
        : null,
    node: node.code === 0 ? bare(node.stdout) : null,
    awsCli: awsCli.code === 0 ? (/aws-cli\/(\S+)/.exec(awsCli.stdout)?.[1] ?? bare(awsCli.stdout)) : null,
    docker:
      docker.code === 127
        ? null
        : {
            server: docker.code === 0 ? bare(docker.stdout) : null,
            buildx: buildx.code === 0 ? (/v(\d[\d.]*)/.exec(buildx.stdout)?.[1] ?? '') : null,
          },
  };
}

function bare(version: string): string {
  return version.trim().replace(/^v/, '');
}

/** Whether a version is at least another, by its first two numbers. */
export function isAtLeast(version: string, least: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [leastMajor = 0, leastMinor = 0] = least.split('.').map(Number);
  return major > leastMajor || (major === leastMajor && minor >= leastMinor);
}
