import { readFile, stat } from 'node:fs/promises';
import { usageError } from './failure.ts';
import { mediaTypeOf } from './media-types.ts';
import {
  alternatives,
  describeInputs,
  describeType,
  type ModelInterface,
  type Schema,
} from './model-interface.ts';

/** Files above this, bytes, are uploaded rather than written into the input. */
const inlineBytes = 256 * 1024;

/** Uploads a file of this machine and gives its URL. */
export type Upload = (path: string, mediaType: string) => Promise<string>;

/** `key=value` or `key:=json`, as typed. */
interface Typed {
  readonly key: string;
  readonly value: string;
  readonly isJson: boolean;
}

const argumentPattern = /^([^=:]+)(:?=)([\s\S]*)$/;

/**
 * The prediction's input from the words of the command line, converted by the version's schema. A key that takes a
 * list may be given several times.
 * @param model undefined where the version has no schema: values are then JSON where they read as JSON, else strings
 * @param upload for large files, which are part of the input without it
 * @throws CliError with one line for each word that does not fit
 */
export async function readInputs(
  words: readonly string[],
  model: ModelInterface | undefined,
  upload?: Upload,
): Promise<Record<string, unknown>> {
  const input: Record<string, unknown> = {};
  const mistakes: string[] = [];
  for (const word of words) {
    const typed = parseWord(word);
    if (!typed) mistakes.push(`"${word}" is no input: write key=value, key=@file or key:=json`);
    else await add(input, typed, model, mistakes, upload);
  }
  const missing = model?.inputs.filter(({ name, required }) => required && !(name in input)) ?? [];
  if (mistakes.length === 0 && missing.length > 0) {
    mistakes.push(`missing: ${missing.map(({ name }) => name).join(', ')}`);
  }
  if (mistakes.length > 0) {
    const allowed = model ? `; ${describeInputs(model)}` : '';
    throw usageError(mistakes.map((mistake) => `${mistake}${allowed}`).join('\n'));
  }
  return input;
}

async function add(
  input: Record<string, unknown>,
  typed: Typed,
  model: ModelInterface | undefined,
  mistakes: string[],
  upload: Upload | undefined,
): Promise<void> {
  const { key } = typed;
  const field = model?.inputs.find(({ name }) => name === key);
  if (model && !field) {
    mistakes.push(`there is no input "${key}"`);
    return;
  }
  try {
    const value = await convert(typed, field?.schema ?? {}, model, upload);
    if (!(key in input)) input[key] = value;
    else if (Array.isArray(input[key]) && Array.isArray(value)) input[key] = [...input[key], ...value];
    else mistakes.push(`${key} is given twice, and it takes one value`);
  } catch (error) {
    if (!(error instanceof Misfit)) throw error;
    mistakes.push(`${key}: ${error.message}`);
  }
}

/** A value that is not of the type that it should have. */
class Misfit extends Error {}

async function convert(
  typed: Typed,
  schema: Schema,
  model: ModelInterface | undefined,
  upload: Upload | undefined,
): Promise<unknown> {
  if (typed.isJson) return parseJson(typed.value);
  if (!model) return convertFree(typed.value);
  const options = alternatives(model, schema);
  // A string takes every value, so it is tried last.
  const ordered = options.toSorted((a, b) => Number(isText(a)) - Number(isText(b)));
  let misfit: unknown;
  for (const option of ordered) {
    try {
      return await convertTo(typed.value, option, model, upload);
    } catch (error) {
      misfit = error;
    }
  }
  throw misfit;
}

async function convertTo(
  value: string,
  schema: Schema,
  model: ModelInterface,
  upload: Upload | undefined,
): Promise<unknown> {
  switch (schema.type) {
    case 'integer':
    case 'number': {
      const number = Number(value);
      const fits = schema.type === 'integer' ? Number.isSafeInteger(number) : Number.isFinite(number);
      if (fits && value.trim() !== '') return number;
      throw new Misfit(`"${value}" is not ${schema.type === 'integer' ? 'an integer' : 'a number'}`);
    }
    case 'boolean':
      if (value === 'true' || value === 'false') return value === 'true';
      throw new Misfit(`"${value}" is neither true nor false`);
    case 'string':
      return schema.format === 'uri' ? convertToFile(value, upload) : convertToText(value, schema);
    case 'array':
      if (!value.startsWith('[')) return [await convertTo(value, model.resolve(schema.items), model, upload)];
      return parseJson(value, describeType(model, schema));
    case 'object':
      return parseJson(value.startsWith('@') ? await readText(value.slice(1)) : value, 'JSON object');
    default:
      return convertFree(value);
  }
}

/** For a value of unknown type: JSON where it reads as JSON, else the text itself. */
async function convertFree(value: string): Promise<unknown> {
  const text = value.startsWith('@') ? await readText(value.slice(1)) : value;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

async function convertToText(value: string, schema: Schema): Promise<string> {
  if (!value.startsWith('@')) return value;
  const text = await readText(value.slice(1));
  // The newline that editors put at a file's end is no part of a secret.
  return schema.format === 'password' ? text.replace(/\r?\n$/, '') : text;
}

async function convertToFile(value: string, upload: Upload | undefined): Promise<string> {
  if (value.startsWith('@')) {
    const path = value.slice(1);
    const isLarge =
      upload &&
      (await stat(path)
        .catch(() => undefined)
        .then((file) => (file?.size ?? 0) > inlineBytes));
    if (isLarge) return await upload(path, mediaTypeOf(path));
    const bytes = await readBytes(path);
    return `data:${mediaTypeOf(path)};base64,${bytes.toString('base64')}`;
  }
  if (/^(https?|data):/.test(value)) return value;
  throw new Misfit(`"${value}" is no URL; for a file on this machine write @${value}`);
}

async function readText(path: string): Promise<string> {
  return (await readBytes(path)).toString('utf8');
}

async function readBytes(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new Misfit(`the file ${path} cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
}

function parseJson(text: string, wanted = 'JSON'): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Misfit(`"${text}" is not valid JSON${wanted === 'JSON' ? '' : ` (a ${wanted})`}`);
  }
}

function isText(schema: Schema): boolean {
  return schema.type === 'string' && schema.format !== 'uri';
}

function parseWord(word: string): Typed | undefined {
  const [, key, sign, value] = argumentPattern.exec(word) ?? [];
  return key && value !== undefined ? { key, value, isJson: sign === ':=' } : undefined;
}
