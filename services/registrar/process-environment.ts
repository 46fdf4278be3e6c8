import { delimiter, join } from 'node:path';
import type { CogYaml } from './cog-yaml.ts';

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

/** All that a model's server is started with, but the port. `environment` is the folder of its virtual environment. */
export function runtimeEnvironment(
  environment: string,
  cogYaml: CogYaml,
  concurrency: number,
): Record<string, string> {
  const inherited = modelEnvironment();
  return {
    ...inherited,
    ...cogYaml.environment,
    // The server starts its worker as `python`.
    PATH: pathWith(join(environment, 'bin'), inherited.PATH),
    VIRTUAL_ENV: environment,
    PYTHONUNBUFFERED: '1',
    COG_PREDICT_TYPE_STUB: cogYaml.predictRef,
    ...(cogYaml.trainRef && { COG_TRAIN_TYPE_STUB: cogYaml.trainRef }),
    COG_MAX_CONCURRENCY: String(concurrency),
    COG_LOG_LEVEL: 'warning',
    COG_THROTTLE_RESPONSE_INTERVAL: '0',
  };
}

/** PATH with the programs of a virtual environment first. */
function pathWith(binFolder: string, path: string | undefined): string {
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
