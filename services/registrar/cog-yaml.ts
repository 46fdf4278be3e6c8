import { type Document, isMap, isScalar, LineCounter, type Node, parseDocument } from 'yaml';
import { z } from 'zod';
import { ProblemError } from '../core/errors.ts';

/** What of a `cog.yaml` is needed to build and start the model. https://cog.run/yaml */
export interface CogYaml {
  /** `file.py:Class`, from `run:` or the older `predict:`. */
  readonly predictRef: string;
  /** `file.py:function`, null where the model cannot be trained. */
  readonly trainRef: string | null;
  /** As written, such as `3.12`; null where any will do. */
  readonly pythonVersion: string | null;
  readonly pythonPackages: readonly string[];
  /** Path of the requirements file inside the folder. */
  readonly requirementsFile: string | null;
  readonly sdkVersion: string | null;
  readonly wantsGpu: boolean;
  /** `concurrency.max`; null where only the code can say. */
  readonly concurrency: number | null;
  readonly environment: Readonly<Record<string, string>>;
  /** What the file asks for that only Docker could give, in sentences for people. */
  readonly warnings: readonly string[];
}

const strings = z.array(z.string()).nullish();
const reference = z.string().regex(/^[^:]+\.py:[A-Za-z_]\w*$/, {
  error: 'must name a file and a class or function, as in "run.py:Runner"',
});
const buildRun = z.array(
  z.union([z.string(), z.strictObject({ command: z.string(), mounts: z.array(z.unknown()).optional() })]),
);

// The keys are those of Cog's own schema (pkg/config/data/config_schema_v1.0.json).
const cogYamlSchema = z.strictObject({
  build: z
    .strictObject({
      cuda: z.string().optional(),
      cudnn: z.string().optional(),
      gpu: z.boolean().optional(),
      python_version: z
        .string()
        .regex(/^\d+\.\d+(\.\d+)?$/, { error: 'must be a version such as "3.12" or "3.12.1"' })
        .optional(),
      python_packages: strings,
      python_requirements: z.string().optional(),
      pre_install: strings,
      run: buildRun.nullish(),
      sdk_version: z.string().optional(),
      system_packages: strings,
    })
    .nullish(),
  image: z.string().optional(),
  model: z.string().optional(),
  run: reference.optional(),
  predict: reference.optional(),
  train: reference.optional(),
  concurrency: z
    .strictObject({ max: z.int().positive(), default_target: z.int().positive().optional() })
    .optional(),
  environment: z
    .array(z.string().regex(/^[A-Za-z_]\w*=/, { error: 'must have the form NAME=value' }))
    .nullish(),
  weights: z.array(z.unknown()).nullish(),
});
type RawCogYaml = z.infer<typeof cogYamlSchema>;

/** Names that Cog keeps for itself and its platform (pkg/config/env.go), so that a model builds alike everywhere. */
const reservedEnvironment =
  /^(PATH|LD_LIBRARY_PATH|PYTHONPATH|VIRTUAL_ENV|PYTHONUNBUFFERED|LIBRARY_PATH|HF_ENDPOINT|HF_HUB_ENABLE_HF_TRANSFER|PORT|(R8|REPLICATE|CUDA|NVIDIA|NV|PGET|KUBERNETES|COG)_.*)$/;

/**
 * Parses the text of a `cog.yaml`.
 * @throws ProblemError `invalid_model` listing every mistake with its line
 */
export function parseCogYaml(text: string): CogYaml {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const [broken] = document.errors;
  if (broken) throw mistakes([`cog.yaml:${lines.linePos(broken.pos[0]).line}: ${broken.message}`]);
  if (!isMap(document.contents)) {
    throw mistakes(['cog.yaml: it must hold keys such as `run: run.py:Runner`']);
  }
  keepVersionAsWritten(document);
  const lineOf = (path: readonly PropertyKey[], key?: string) => locate(document, lines, path, key);

  const parsed = cogYamlSchema.safeParse(resolveAliases(document));
  if (!parsed.success) throw mistakes(parsed.error.issues.flatMap((issue) => describe(issue, lineOf)));
  const raw = parsed.data;
  const found = contradictions(raw, lineOf);
  if (found.length > 0) throw mistakes(found);

  return {
    predictRef: raw.run ?? raw.predict ?? '',
    trainRef: raw.train ?? null,
    pythonVersion: raw.build?.python_version ?? null,
    pythonPackages: raw.build?.python_packages ?? [],
    requirementsFile: raw.build?.python_requirements ?? null,
    sdkVersion: raw.build?.sdk_version ?? null,
    wantsGpu: raw.build?.gpu ?? false,
    concurrency: raw.concurrency?.max ?? null,
    environment: Object.fromEntries((raw.environment ?? []).map(splitVariable)),
    warnings: dockerOnly(raw),
  };
}

type LineOf = (path: readonly PropertyKey[], key?: string) => string;

/** An alias may stand for nothing, or for so much that it is refused. */
function resolveAliases(document: Document): unknown {
  try {
    return document.toJS();
  } catch (error) {
    throw mistakes([`cog.yaml: ${error instanceof Error ? error.message : String(error)}`]);
  }
}

/** YAML reads an unquoted 3.10 as the number 3.1; the text is what was meant. */
function keepVersionAsWritten(document: Document): void {
  const node = document.getIn(['build', 'python_version'], true);
  if (isScalar(node) && typeof node.value === 'number' && node.source) node.value = node.source;
}

/** `cog.yaml:LINE`, of a value or, with `key`, of a key of the map at `path`. */
function locate(
  document: Document,
  lines: LineCounter,
  path: readonly PropertyKey[],
  key: string | undefined,
): string {
  for (let length = path.length; length >= 0; length--) {
    const node = document.getIn(path.slice(0, length), true) as Node | undefined;
    const pair =
      key !== undefined && isMap(node)
        ? node.items.find((item) => isScalar(item.key) && item.key.value === key)
        : undefined;
    const range = isScalar(pair?.key) ? pair.key.range : node?.range;
    if (range && (length > 0 || pair)) return `cog.yaml:${lines.linePos(range[0]).line}`;
  }
  return 'cog.yaml';
}

function describe(issue: z.core.$ZodIssue, lineOf: LineOf): string[] {
  if (issue.code === 'unrecognized_keys') {
    const path = issue.path.join('.');
    return issue.keys.map((key) => {
      const name = path ? `${path}.${key}` : key;
      return `${lineOf(issue.path, key)}: \`${name}\` is not a key that Cog knows; see https://cog.run/yaml`;
    });
  }
  return [`${lineOf(issue.path)}: \`${issue.path.join('.')}\`: ${issue.message}`];
}

function contradictions(raw: RawCogYaml, lineOf: LineOf): string[] {
  const found: string[] = [];
  if (raw.run && raw.predict) {
    found.push(`${lineOf([], 'predict')}: \`run\` and \`predict\` are both given; keep \`run\``);
  }
  if (!raw.run && !raw.predict) {
    found.push('cog.yaml: it names no model; add `run: run.py:Runner` with your own file and class');
  }
  if (raw.build?.python_packages?.length && raw.build.python_requirements) {
    found.push(
      `${lineOf(['build'], 'python_packages')}: \`python_packages\` and \`python_requirements\` are both given; ` +
        'move the packages into the requirements file',
    );
  }
  const sdk = raw.build?.sdk_version;
  if (sdk !== undefined && !isSupportedSdk(sdk)) {
    found.push(
      `${lineOf(['build', 'sdk_version'])}: \`build.sdk_version\`: cog ${sdk} is older than 0.16.0; use 0.16.0 or newer`,
    );
  }
  const names = new Set<string>();
  for (const [index, variable] of (raw.environment ?? []).entries()) {
    const [name] = splitVariable(variable);
    const line = lineOf(['environment', index]);
    if (reservedEnvironment.test(name)) found.push(`${line}: \`${name}\` is reserved; choose another name`);
    if (names.has(name)) found.push(`${line}: \`${name}\` is set twice; keep one`);
    names.add(name);
  }
  return found;
}

/** https://cog.run/yaml: 0.16.0 is the oldest SDK that may be asked for; `prerelease` is the newest of all. */
function isSupportedSdk(version: string): boolean {
  if (version === 'prerelease') return true;
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return /^\d+\.\d+(\.\d+)?([a-z]+\d+)?$/.test(version) && (major > 0 || minor >= 16);
}

function dockerOnly(raw: RawCogYaml): string[] {
  const { build } = raw;
  const found: string[] = [];
  if (build?.system_packages?.length) {
    found.push(
      `build.system_packages (${build.system_packages.join(', ')}) are not installed without Docker; ` +
        'install them on this machine',
    );
  }
  if (build?.run?.length)
    found.push('build.run is not executed without Docker; do its steps on this machine');
  if (build?.pre_install?.length) found.push('build.pre_install is not executed without Docker');
  if (build?.cuda) found.push(`build.cuda ${build.cuda} is not installed; the CUDA of this machine is used`);
  if (raw.weights?.length)
    found.push('weights are not fetched; fetch them in setup() or keep them in the folder');
  return found;
}

function splitVariable(variable: string): [name: string, value: string] {
  const at = variable.indexOf('=');
  return [variable.slice(0, at), variable.slice(at + 1)];
}

function mistakes(found: readonly string[]): ProblemError {
  return new ProblemError('invalid_model', found.join('\n'));
}
