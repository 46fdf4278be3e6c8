import { join } from 'node:path';
import { z } from 'zod';
import { ProblemError } from '../core/errors.ts';
import { compileInput } from '../core/input.ts';
import { type CommandResult, runCommand } from './command.ts';

const helper = join(import.meta.dirname, 'schema.py');

const answerSchema = z.union([
  z.object({
    error: z.object({
      message: z.string(),
      file: z.string().nullable(),
      line: z.number().nullable(),
      missingModule: z.string().nullable(),
    }),
  }),
  z.object({
    cogVersion: z.string(),
    schema: z.record(z.string(), z.json()),
    /** `max` of `@cog.concurrent`. */
    concurrency: z.int().positive().nullable(),
    isAsync: z.boolean(),
  }),
]);
type Answer = z.infer<typeof answerSchema>;
export type ModelInterface = Extract<Answer, { schema: unknown }>;

export interface SchemaRequest {
  /** Folder of the virtual environment. */
  readonly environment: string;
  readonly sourceFolder: string;
  readonly predictRef: string;
  readonly trainRef: string | null;
  readonly requirementsFile: string | null;
  /** Variables that the model runs with. */
  readonly env: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Imports the model in its environment and derives the OpenAPI document that Cog's own build would write.
 * @throws ProblemError `invalid_model` naming file and line where the model cannot be imported or expressed
 */
export async function deriveSchema(request: SchemaRequest): Promise<ModelInterface> {
  const refs = JSON.stringify({ predict: request.predictRef, train: request.trainRef });
  const result = await runCommand(join(request.environment, 'bin', 'python'), [helper, refs], {
    cwd: request.sourceFolder,
    // The folder stays as it was sent.
    env: { ...request.env, PYTHONDONTWRITEBYTECODE: '1', PYTHONIOENCODING: 'utf-8' },
    timeoutMs: request.timeoutMs,
    ...(request.signal && { signal: request.signal }),
  });
  const answer = parseAnswer(result);
  if (answer === undefined) throw noAnswer(request, result);
  if ('error' in answer) throw refusal(answer.error, request.requirementsFile);
  checkSchema(request, answer.schema);
  return answer;
}

function parseAnswer(result: CommandResult): Answer | undefined {
  return result.answer === '' ? undefined : answerSchema.parse(JSON.parse(result.answer));
}

function noAnswer(request: SchemaRequest, result: CommandResult): ProblemError {
  const file = request.predictRef.split(':')[0];
  const printed = result.output.trim().split('\n').slice(-8).join('\n');
  const what = result.timedOut
    ? `importing it took longer than ${Math.round(request.timeoutMs / 1000)} s; load weights in setup(), not at import`
    : `importing it ended the Python process (exit code ${result.exitCode ?? 'none, a signal'})`;
  return new ProblemError('invalid_model', `${file}: ${what}${printed ? `\n${printed}` : ''}`);
}

function refusal(
  error: Extract<Answer, { error: unknown }>['error'],
  requirementsFile: string | null,
): ProblemError {
  const place = [error.file, error.line].filter((part) => part !== null).join(':');
  const mend = error.missingModule
    ? `; if ${error.missingModule} is a package, add it to ${
        requirementsFile ?? 'a requirements.txt that `build.python_requirements` in cog.yaml names'
      }`
    : '';
  return new ProblemError('invalid_model', `${place ? `${place}: ` : ''}${error.message}${mend}`);
}

/** A document that no input can be checked against, such as one with a broken regex, is of no use. */
function checkSchema(request: SchemaRequest, openapiSchema: ModelInterface['schema']): void {
  try {
    compileInput({ openapiSchema });
  } catch (error) {
    const file = request.predictRef.split(':')[0];
    const reason = error instanceof Error ? error.message : String(error);
    throw new ProblemError('invalid_model', `${file}: its inputs cannot be checked: ${reason}`);
  }
}
