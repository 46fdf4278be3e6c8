import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LaunchSpec } from '../../services/core/launch.ts';
import { packFolder } from '../../services/registrar/pack.ts';
import { SourceRegistrar } from '../../services/registrar/source.ts';

const cache = join(import.meta.dirname, '../../.cache');
const home = join(cache, 'test-home');

/** The lines of Cog that are tried: coglet, and the Python server before it. */
export const cogLines = ['0.23.1', '0.16.12'] as const;

export interface ModelOptions {
  readonly cogVersion?: string;
  /** Whether the output is an iterator. */
  readonly streams?: boolean;
  /** Predictions at once; more than one makes the model async. */
  readonly concurrency?: number;
  /** Python for the body of setup. */
  readonly setup?: string;
}

/** How to start a model that does what its input says, word by word. See `model` below for the words. */
export async function scriptedModel(options: ModelOptions = {}): Promise<LaunchSpec> {
  return launchModel(model(options), options);
}

/** How to start a model of this code, `predict.py:Predictor`. */
export async function launchModel(
  code: string,
  options: ModelOptions & { readonly uploadUrl?: string } = {},
): Promise<LaunchSpec> {
  const { cogVersion = '0.23.1', concurrency = 1, uploadUrl } = options;
  const folder = await mkdtemp(join(tmpdir(), 'mimeo-model-'));
  try {
    const build = cogVersion === '0.23.1' ? '' : `build:\n  sdk_version: "${cogVersion}"\n`;
    const many = concurrency === 1 ? '' : `concurrency:\n  max: ${concurrency}\n`;
    await writeFile(join(folder, 'cog.yaml'), `${build}predict: predict.py:Predictor\n${many}`);
    await writeFile(join(folder, 'predict.py'), code);
    // Environments take a while to make, so all tests share them.
    await mkdir(join(cache, 'test-environments'), { recursive: true });
    await mkdir(home, { recursive: true });
    await symlink(join(cache, 'test-environments'), join(home, 'environments')).catch(() => {});
    const registrar = new SourceRegistrar({ home });
    const { stream } = await packFolder(folder);
    const built = await registrar.build(stream, { onProgress: () => {} });
    return await registrar.launch(built.id, { uploadUrl });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function model({
  streams = false,
  concurrency = 1,
  setup = 'print("setting up", flush=True)',
}: ModelOptions): string {
  const isAsync = concurrency > 1;
  const output = streams ? 'ConcatenateIterator[str]' : 'str';
  return `
import asyncio, os, signal, time
from cog import BasePredictor, ConcatenateIterator, Input


class Predictor(BasePredictor):
    def setup(self) -> None:
        ${setup}

    ${isAsync ? 'async ' : ''}def predict(
        self,
        script: str = Input(default="", max_length=1000),
        gate: str = Input(description="wait:NAME waits for a file with this path and name", default=""),
    ) -> ${output}:
        said = []
        for step in script.split():
            verb, _, rest = step.partition(":")
            if verb == "say":
                ${streams ? 'yield rest' : 'said.append(rest)'}
            elif verb == "print":
                print(rest, flush=True)
            elif verb == "wait":
                while not os.path.exists(gate + rest):
                    ${isAsync ? 'await asyncio.sleep(0.005)' : 'time.sleep(0.005)'}
            elif verb == "many":
                for i in range(int(rest)):
                    ${streams ? 'yield str(i) + " "' : 'print(i, flush=True)'}
            elif verb == "large":
                ${streams ? 'yield "x" * int(rest)' : 'said.append("x" * int(rest))'}
            elif verb == "raise":
                raise ValueError(rest)
            elif verb == "exit":
                os._exit(int(rest))
            elif verb == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            elif verb == "deaf":
                while True:
                    try:
                        time.sleep(0.05)
                    except BaseException:
                        print("not listening", flush=True)
        ${streams ? '' : 'return " ".join(said)'}
`;
}
