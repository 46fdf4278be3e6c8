import { z } from 'zod';
import { jobIdPattern } from './ids.ts';

/** Most files that one job may put out. */
export const maxOutputFiles = 1000;
/** How deep in an output files are looked for. */
const maxDepth = 20;

export const outputFileSchema = z.object({
  /** Where in the output it belongs: names of members and places in lists. What stands there is null. */
  path: z.array(z.union([z.string(), z.int().nonnegative()])).max(maxDepth),
  /** Its name among the job's objects. */
  name: z.string().regex(jobIdPattern),
});
/** A file that a model put out: kept beside the output, so that no text of a model can pass for one. */
export type OutputFile = z.infer<typeof outputFileSchema>;
export type OutputPath = OutputFile['path'];

/** The key in Objects of a file that a job put out. */
export function outputFileKey(job: { readonly account: string; readonly id: string }, name: string): string {
  return `${job.account}/jobs/${job.id}/files/${name}`;
}

/** The value with something else at a path; as it was where the path leads nowhere. */
export function replaceAt(value: unknown, path: OutputPath, replacement: unknown): unknown {
  const [step, ...rest] = path;
  if (step === undefined) return replacement;
  if (Array.isArray(value)) {
    if (typeof step !== 'number' || step >= value.length) return value;
    return value.with(step, replaceAt(value[step], rest, replacement));
  }
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return value;
  const members = value as Record<string, unknown>;
  return { ...members, [step]: replaceAt(members[step], rest, replacement) };
}

/** The files of one element of an iterator's output, by their paths in that element. */
export function filesOfElement(
  files: readonly OutputFile[] | undefined,
  index: number,
): readonly OutputFile[] | undefined {
  const own = files?.filter(({ path }) => path[0] === index);
  return own?.length ? own.map(({ path, name }) => ({ path: path.slice(1), name })) : undefined;
}

/** Finds where in an output, or in one element of an iterator's output, files stand that are written as data URLs. */
export interface FileFinder {
  /** Whether the whole output is one file, whatever the run. */
  readonly isOneFile: boolean;
  inOutput(output: unknown): readonly OutputPath[];
  inElement(element: unknown): readonly OutputPath[];
}

type Schema = Readonly<Record<string, unknown>>;

/**
 * By the schema that Cog writes for a version: only what it calls a URI is taken for a file.
 * @param document Cog's OpenAPI document, not trusted
 * @returns undefined where the version puts out no files
 */
export function fileFinder(document: unknown): FileFinder | undefined {
  const schemas = asSchema(asSchema(asSchema(document).components).schemas);
  const output = asSchema(schemas.Output);
  if (!JSON.stringify(schemas).includes('"uri"')) return undefined;

  const find = (value: unknown, schema: Schema, depth: number): OutputPath[] => {
    if (depth > maxDepth) return [];
    const reference = typeof schema.$ref === 'string' ? schema.$ref.split('/').at(-1) : undefined;
    if (reference !== undefined) return find(value, asSchema(schemas[reference]), depth + 1);
    if (schema.format === 'uri') return isDataUrl(value) ? [[]] : [];
    const choices = [schema.allOf, schema.anyOf, schema.oneOf].flatMap((list) =>
      Array.isArray(list) ? list.map(asSchema) : [],
    );
    for (const choice of choices) {
      const found = find(value, choice, depth + 1);
      if (found.length > 0) return found;
    }
    if (Array.isArray(value)) {
      const items = asSchema(schema.items);
      return value.flatMap((item, index) => within(index, find(item, items, depth + 1)));
    }
    if (typeof value !== 'object' || value === null) return [];
    const properties = asSchema(schema.properties);
    return Object.entries(value).flatMap(([name, member]) => {
      const known = Object.hasOwn(properties, name) ? properties[name] : schema.additionalProperties;
      return within(name, find(member, asSchema(known), depth + 1));
    });
  };
  return {
    isOneFile: output.type === 'string' && output.format === 'uri' && output.nullable !== true,
    inOutput: (value) => find(value, output, 0),
    inElement: (value) => find(value, asSchema(output.items), 1),
  };
}

function within(step: string | number, paths: OutputPath[]): OutputPath[] {
  return paths.map((path) => [step, ...path]);
}

function isDataUrl(value: unknown): boolean {
  return typeof value === 'string' && value.startsWith('data:');
}

function asSchema(value: unknown): Schema {
  return typeof value === 'object' && value !== null ? (value as Schema) : {};
}

/** The value at a path; undefined where it leads nowhere. */
export function valueAt(value: unknown, path: OutputPath): unknown {
  let found = value;
  for (const step of path) found = asSchema(found)[step];
  return found;
}
