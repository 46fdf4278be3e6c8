import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { parseConfig, type StackConfig } from '../config.ts';

/** A file of the stack's configuration is missing or cannot be read. The message is for people. */
export class ConfigFileError extends Error {
  override name = 'ConfigFileError';
}

const stackSchema = z.object({ config: z.record(z.string(), z.unknown()).nullish() });
const projectSchema = z.object({ name: z.string() });

/**
 * The configuration of one environment, from `Pulumi.yaml` and `Pulumi.<environment>.yaml` themselves: Pulumi's engine is
 * not asked.
 * @param root the folder in which the files are
 * @throws ConfigFileError where a file is missing, is no YAML or has encrypted values
 * @throws ConfigError with every mistake in what the file says
 */
export function readStackConfig(environment: string, root: string): StackConfig {
  const { name: project } = readYaml(root, 'Pulumi.yaml', projectSchema, 'takes a name');
  const file = `Pulumi.${environment}.yaml`;
  const known = environmentsOf(root);
  if (!known.includes(environment)) {
    const others = known.length > 0 ? `there are ${known.join(', ')}` : `there is none in ${root}`;
    throw new ConfigFileError(`There is no environment "${environment}" (${file}): ${others}.`);
  }
  const values = readYaml(root, file, stackSchema, 'takes settings under "config:"').config ?? {};
  const settings: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(values)) {
    if (!key.startsWith(`${project}:`)) continue;
    refuseSecure(file, key, value);
    settings[key.slice(project.length + 1)] = value;
  }
  const region = values['aws:region'];
  return parseConfig({
    project,
    environment,
    region: typeof region === 'string' ? region : undefined,
    awsNames: Object.keys(values).flatMap((key) =>
      key.startsWith('aws:') ? [key.slice('aws:'.length)] : [],
    ),
    settings,
  });
}

/** Environments that have a file, in order. */
export function environmentsOf(root: string): readonly string[] {
  return readdirSync(root)
    .map((name) => /^Pulumi\.([\w-]+)\.yaml$/.exec(name)?.[1])
    .filter((name) => name !== undefined)
    .sort();
}

function readYaml<T>(root: string, file: string, schema: z.ZodType<T>, rule: string): T {
  let document: unknown;
  try {
    document = parse(readFileSync(join(root, file), 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      throw new ConfigFileError(`There is no ${file} in ${root}.`);
    }
    const [first] = (error as Error).message.split('\n');
    throw new ConfigFileError(`${file} cannot be read: ${first}`);
  }
  const parsed = schema.safeParse(document);
  if (!parsed.success) throw new ConfigFileError(`${file} ${rule}.`);
  return parsed.data;
}

/** What Pulumi has encrypted, only Pulumi can read. */
function refuseSecure(file: string, key: string, value: unknown): void {
  if (typeof value !== 'object' || value === null) return;
  if ('secure' in value) {
    throw new ConfigFileError(
      `${file}: ${key} is encrypted, and only Pulumi can read it. No setting of Mimeo is a secret: set it without --secret.`,
    );
  }
  for (const [name, inner] of Object.entries(value)) refuseSecure(file, `${key}.${name}`, inner);
}
