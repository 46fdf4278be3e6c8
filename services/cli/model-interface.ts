import type { VersionAnswer } from './answers.ts';

/** A JSON schema with its references followed. */
export interface Schema {
  readonly type?: unknown;
  readonly format?: unknown;
  readonly items?: unknown;
  readonly anyOf?: unknown;
  readonly properties?: unknown;
  readonly enum?: unknown;
  readonly default?: unknown;
  readonly minimum?: unknown;
  readonly nullable?: unknown;
  readonly [key: string]: unknown;
}

/** One input of a model, as the Cog schema of its version declares it. */
interface InputField {
  readonly name: string;
  readonly schema: Schema;
  readonly required: boolean;
}

/** What a version takes and gives, read from its OpenAPI document. */
export interface ModelInterface {
  /** In the order in which the model's author wrote them. */
  readonly inputs: readonly InputField[];
  readonly output: Schema;
  /** Follows references and merges `allOf`, as Cog writes choices. */
  resolve(schema: unknown): Schema;
}

/** Reads a version's interface. A version without a schema takes and gives anything: undefined. */
export function modelInterface(version: VersionAnswer): ModelInterface | undefined {
  const document = version.openapi_schema;
  const schemas = asRecord(asRecord(document?.components).schemas);
  if (!schemas.Input) return undefined;

  function resolve(schema: unknown, depth = 0): Schema {
    const { $ref: reference, allOf, ...own } = asRecord(schema);
    if (depth > 8) return own;
    const name = typeof reference === 'string' ? reference.split('/').at(-1) : undefined;
    const parts = [...(name ? [schemas[name]] : []), ...(Array.isArray(allOf) ? allOf : [])];
    return Object.assign({}, ...parts.map((part) => resolve(part, depth + 1)), own);
  }

  const input = resolve(schemas.Input);
  const required = Array.isArray(input.required) ? input.required : [];
  const inputs = Object.entries(asRecord(input.properties)).map(([name, schema]) => ({
    name,
    schema: resolve(schema),
    required: required.includes(name),
  }));
  return {
    inputs: inputs.sort((a, b) => order(a.schema) - order(b.schema)),
    output: resolve(schemas.Output),
    resolve: (schema) => resolve(schema),
  };
}

/** The schemas that a value may follow: those of a union without `null`, else the schema itself. */
export function alternatives(model: ModelInterface, schema: Schema): Schema[] {
  const union = schema.anyOf ?? schema.oneOf;
  if (!Array.isArray(union)) return [schema];
  return union.map((part) => model.resolve(part)).filter((part) => part.type !== 'null');
}

/** What a person would call the values that a schema allows: `file`, `integer`, `list of numbers`, `"a" or "b"`. */
export function describeType(model: ModelInterface, schema: Schema): string {
  if (Array.isArray(schema.enum)) return schema.enum.map((value) => JSON.stringify(value)).join(' or ');
  const [only, ...others] = alternatives(model, schema);
  if (!only || others.length > 0) {
    return alternatives(model, schema)
      .map((part) => describeType(model, part))
      .join(' or ');
  }
  if (only.type === 'array') return `list of ${plural(describeType(model, model.resolve(only.items)))}`;
  if (only.type === 'string' && only.format === 'uri') return 'file';
  if (only.type === 'boolean') return 'true or false';
  if (only.type === 'object') return 'JSON object';
  return typeof only.type === 'string' ? only.type : 'JSON';
}

/** One line that names every input: `prompt (string, required), steps (integer)`. */
export function describeInputs(model: ModelInterface): string {
  if (model.inputs.length === 0) return 'this model takes no inputs';
  const names = model.inputs.map(
    ({ name, schema, required }) => `${name} (${describeType(model, schema)}${required ? ', required' : ''})`,
  );
  return `the inputs are ${names.join(', ')}`;
}

/**
 * A line to paste that runs the model: its required inputs, or its first one, with values that pass.
 * Strings are quoted for a POSIX shell.
 */
export function exampleRun(target: string, model: ModelInterface | undefined): string {
  const inputs = model?.inputs ?? [];
  const required = inputs.filter((input) => input.required);
  const shown = required.length > 0 ? required : inputs.slice(0, 1);
  const words = model ? shown.map(({ name, schema }) => `${name}${exampleValue(model, schema)}`) : [];
  return ['npx mimeo run', target, ...words].join(' ');
}

function exampleValue(model: ModelInterface, schema: Schema): string {
  const [first = {}] = alternatives(model, schema);
  const known = schema.default ?? (Array.isArray(schema.enum) ? schema.enum[0] : undefined);
  if (known !== undefined && known !== null) {
    return typeof known === 'object' ? `:=${quote(JSON.stringify(known))}` : `=${quote(String(known))}`;
  }
  if (first.type === 'array') return exampleValue(model, model.resolve(first.items));
  if (first.type === 'boolean') return '=true';
  if (first.type === 'integer' || first.type === 'number') return `=${first.minimum ?? 1}`;
  if (first.type === 'string') return first.format === 'uri' ? '=@FILE' : '="Hello"';
  return `:='{}'`;
}

/** A word as it is typed in a POSIX shell. */
export function quote(text: string): string {
  return /^[\w./:-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

function plural(noun: string): string {
  return /^[a-z]+$/.test(noun) ? `${noun}s` : noun;
}

function order(schema: Schema): number {
  const value = schema['x-order'];
  return typeof value === 'number' ? value : Number.MAX_SAFE_INTEGER;
}

function asRecord(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}
