import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import { ProblemError } from './errors.ts';
import { TimeLimitError, withTimeLimit } from './time-limit.ts';
import type { Version } from './version.ts';

/** An input of more values than this is told its first mistake only: a million of them would fill the memory. */
const maxValuesToExplain = 1000;
/** Longest check of an input whose schema can make it slow. */
const checkLimitMs = 250;
/** Keywords whose cost may grow faster than the input. Cog's `regex` is a `pattern`. */
const slowKeywords = /"(?:pattern|patternProperties|uniqueItems)":/;

type JsonObject = Readonly<Record<string, unknown>>;

/** What a version takes, compiled once from its OpenAPI schema. */
export interface InputContract {
  /** Names of inputs that are secrets. */
  readonly secrets: readonly string[];
  /**
   * The input without what the version does not know, as Cog itself drops it, and without nulls.
   * @throws ProblemError `input_invalid` with a line for each mistake
   */
  check<T extends JsonObject>(input: T): T;
}

/**
 * @throws Error where the schema itself is broken, which the registrar refuses
 */
export function compileInput(version: Pick<Version, 'openapiSchema'>): InputContract {
  const components = withTypedNullable(version.openapiSchema.components ?? {});
  const validate = compile(components, { allErrors: false });
  let explain: ValidateFunction | undefined;
  const isSlow = slowKeywords.test(JSON.stringify(components));
  const mistakesIn = (input: JsonObject) => {
    if (validate(input)) return undefined;
    if (hasMoreValues(input, maxValuesToExplain)) return validate;
    explain ??= compile(components, { allErrors: true });
    explain(input);
    return explain;
  };
  const properties = inputProperties(version.openapiSchema);
  const known = new Set(Object.keys(properties));
  return {
    secrets: Object.entries(properties).flatMap(([name, property]) => (isSecret(property) ? [name] : [])),
    check: (input) => {
      const kept = withoutUnknown(input, known);
      const mistakes = isSlow ? inTime(() => mistakesIn(kept)) : mistakesIn(kept);
      if (mistakes) throw inputProblem(mistakes);
      return kept;
    },
  };
}

function compile(components: unknown, options: { readonly allErrors: boolean }): ValidateFunction {
  const ajv = new Ajv({ ...options, strict: false, logger: false, code: { regExp } });
  // A file is a URL or a data URL; a pattern over megabytes of base64 would be slow, so only its beginning is read.
  ajv.addFormat('uri', (text: string) => /^(?:https?:\/\/|data:)/i.test(text.slice(0, 8)));
  ajv.addFormat('password', true);
  return ajv.compile({ $ref: '#/components/schemas/Input', components });
}

/** Python lets any punctuation be escaped, as in `\d{3}\-\d{4}`; JavaScript only what has a meaning of its own. */
const regExp = Object.assign(
  (pattern: string, flags: string) =>
    new RegExp(
      pattern.replace(/\\([\s\S])/g, (whole, character: string) =>
        /[!"#%&',:;<=>@_`~ -]/.test(character)
          ? `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`
          : whole,
      ),
      flags,
    ),
  { code: 'regExp' },
);

function inTime<T>(work: () => T): T {
  try {
    return withTimeLimit(checkLimitMs, work);
  } catch (error) {
    if (!(error instanceof TimeLimitError)) throw error;
    throw new ProblemError(
      'input_invalid',
      `- input: Checking it took longer than ${checkLimitMs} ms, because of the model's own pattern; send a shorter text`,
    );
  }
}

/** Whether there are more members and elements than this, at all depths together. */
function hasMoreValues(value: unknown, limit: number): boolean {
  let count = 0;
  const isMore = (member: unknown): boolean => {
    count += 1;
    if (count > limit) return true;
    return typeof member === 'object' && member !== null && Object.values(member).some(isMore);
  };
  return isMore(value);
}

/** OpenAPI lets `nullable` stand beside `allOf` and `anyOf`, as Cog writes it; Ajv refuses it without `type`. */
function withTypedNullable(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(withTypedNullable);
  if (typeof schema !== 'object' || schema === null) return schema;
  const entries = Object.entries(schema).map(([name, value]) => [name, withTypedNullable(value)] as const);
  return Object.fromEntries(
    entries.filter(([name, value]) => name !== 'nullable' || value !== true || 'type' in schema),
  );
}

function inputProperties(schema: JsonObject): Record<string, JsonObject> {
  const components = schema.components as
    | { schemas?: { Input?: { properties?: Record<string, JsonObject> } } }
    | undefined;
  return components?.schemas?.Input?.properties ?? {};
}

/** Whether it is a secret or holds one, as a list of secrets does. */
function isSecret(schema: unknown): boolean {
  if (typeof schema !== 'object' || schema === null) return false;
  const { format, 'x-cog-secret': marked } = schema as JsonObject;
  return marked === true || format === 'password' || Object.values(schema).some(isSecret);
}

/** Without what the version does not know, and without nulls: coglet refuses a null where an input is left out. */
function withoutUnknown<T extends JsonObject>(input: T, known: ReadonlySet<string>): T {
  const isKept = ([name, value]: [string, unknown]) => value !== null && known.has(name);
  const entries = Object.entries(input);
  return entries.every(isKept) ? input : (Object.fromEntries(entries.filter(isKept)) as T);
}

function inputProblem(validate: ValidateFunction): ProblemError {
  const lines = (validate.errors ?? []).flatMap((error) => {
    const line = describe(error);
    return line === undefined ? [] : [`- ${line}`];
  });
  const detail = [...new Set(lines)].join('\n');
  return new ProblemError('input_invalid', detail === '' ? '- input: Does not match the schema' : detail);
}

function describe(error: ErrorObject): string | undefined {
  const where = ['input', ...error.instancePath.split('/').slice(1)].join('.');
  const params = error.params as Record<string, unknown>;
  switch (error.keyword) {
    case 'required':
      return `${where}.${String(params.missingProperty)}: This input is required`;
    case 'type':
      return `${where}: Must be ${withArticle(String(params.type))}`;
    case 'enum':
      return `${where}: Must be one of ${(params.allowedValues as unknown[]).map((value) => JSON.stringify(value)).join(', ')}`;
    case 'minimum':
      return `${where}: Must be greater than or equal to ${String(params.limit)}`;
    case 'maximum':
      return `${where}: Must be less than or equal to ${String(params.limit)}`;
    case 'minLength':
      return `${where}: Must be at least ${String(params.limit)} characters long`;
    case 'maxLength':
      return `${where}: Must be at most ${String(params.limit)} characters long`;
    case 'pattern':
      return `${where}: Must match the pattern ${String(params.pattern)}`;
    case 'format':
      return params.format === 'uri'
        ? `${where}: Must be an http(s) URL or a data URL`
        : `${where}: ${error.message}`;
    // These only say that one of the errors above happened inside.
    case 'allOf':
    case 'anyOf':
    case 'oneOf':
    case '$ref':
      return undefined;
    default:
      return `${where}: ${error.message ?? 'Is not valid'}`;
  }
}

function withArticle(type: string): string {
  const names = type.split(',').map((name) => (/^[aeio]/.test(name) ? `an ${name}` : `a ${name}`));
  return names.join(' or ');
}
