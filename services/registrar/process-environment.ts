import { delimiter } from 'node:path';

/** Variables that a model may see of this process: what programs need to find their way, never credentials. */
const inherited =
  /^(HOME|USER|LOGNAME|LANG|LANGUAGE|LC_[A-Z]+|TZ|TMPDIR|PATH|LD_LIBRARY_PATH|SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE|CUDA_[A-Z_]+|NVIDIA_[A-Z_]+|(https?|no|all)_proxy|(HTTPS?|NO|ALL)_PROXY)$/;
/** pip and uv take their options from these as well. */
const installer = /^(PIP|UV)_[A-Z_]+$/;
const secret = /(TOKEN|SECRET|PASSWORD|CREDENTIAL|_KEY$)/;

/** The environment of a model's process, before what is the model's own. */
export function modelEnvironment(from: NodeJS.ProcessEnv = process.env): Record<string, string> {
  // A proxy's URL may carry a password.
  return pick(from, (name, value) => inherited.test(name) && !secret.test(name) && !/\/\/[^/]*@/.test(value));
}

/** The environment of pip and uv, which may need a password for an index or a proxy. */
export function installerEnvironment(from: NodeJS.ProcessEnv = process.env): Record<string, string> {
  return pick(from, (name) => inherited.test(name) || installer.test(name));
}

/** PATH with the programs of a virtual environment first. */
export function pathWith(binFolder: string, path: string | undefined): string {
  return path ? `${binFolder}${delimiter}${path}` : binFolder;
}

function pick(
  from: NodeJS.ProcessEnv,
  keep: (name: string, value: string) => boolean,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(from).filter((entry): entry is [string, string] => {
      const [name, value] = entry;
      return value !== undefined && keep(name, value);
    }),
  );
}
