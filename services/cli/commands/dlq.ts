import { Command } from 'commander';
import type { ExplainedLetter } from '../../operator.ts';
import { CliError, usageError } from '../failure.ts';
import { print, say } from '../terminal.ts';

interface Options {
  readonly table?: string;
  readonly arn?: string;
  readonly queuePrefix?: string;
  readonly json?: boolean;
}

/** `mimeo dlq`: messages that nobody removed from their queues, what they were for, and what to do with them. */
export function dlqCommand(_signal: AbortSignal): Command {
  const command = new Command('dlq')
    .description(
      "Read, explain and settle the dead-letter queue of a platform in AWS, by AWS's own credentials.",
    )
    .addHelpText(
      'after',
      `
A message is a hint that a job waits or that a webhook is due; the table knows the truth, so losing one loses nothing.

Examples:
  $ npx mimeo dlq list --table mimeo-prod --arn arn:aws:sqs:eu-central-1:123456789012:mimeo-prod-dead
  $ npx mimeo dlq redrive --all`,
    );
  const add = (name: string, description: string) =>
    new Command(name)
      .description(description)
      .option('--table <name>', 'the table of the platform (default: MIMEO_TABLE)')
      .option('--arn <arn>', 'the dead-letter queue (default: MIMEO_DEAD_LETTER_ARN)')
      .option('--json', 'print the messages as JSON');
  command.addCommand(
    add('list', 'All messages, the oldest first, with what each was for and what has become of it.').action(
      list,
    ),
    { isDefault: true },
  );
  command.addCommand(add('show', 'One message.').argument('<id>').action(show));
  command.addCommand(
    add('redrive', 'Send again what is still needed, and drop what is not; what is unknown stays.')
      .argument('[ids...]', 'messages')
      .option('--all', 'all messages')
      .option(
        '--queue-prefix <prefix>',
        "what the names of jobs' queues begin with (default: MIMEO_QUEUE_PREFIX)",
      )
      .action(redrive),
  );
  return command;
}

async function list(options: Options): Promise<void> {
  const letters = await read(options);
  if (options.json) return print(JSON.stringify(letters, undefined, 2));
  for (const letter of letters) print(line(letter));
  say(`${letters.length} dead messages`);
}

async function show(id: string, options: Options): Promise<void> {
  const letter = (await read(options)).find((one) => one.id === id);
  if (!letter) throw new CliError(`There is no message ${id} in the dead-letter queue.`);
  print(options.json ? JSON.stringify(letter, undefined, 2) : line(letter));
}

async function redrive(ids: readonly string[], options: Options & { readonly all?: boolean }): Promise<void> {
  if (ids.length > 0 === (options.all === true)) throw usageError('Name messages, or --all of them.');
  const letters = await read(options, ({ id }) => options.all === true || ids.includes(id));
  const taken = letters.filter(({ id }) => options.all === true || ids.includes(id));
  const missing = ids.filter((id) => !letters.some((letter) => letter.id === id));
  if (options.json) print(JSON.stringify(taken, undefined, 2));
  else for (const letter of taken) print(line(letter));
  if (missing.length > 0)
    throw new CliError(`There is no message ${missing.join(', ')} in the dead-letter queue.`);
}

async function read(
  options: Options,
  settle?: (letter: { readonly id: string }) => boolean,
): Promise<readonly ExplainedLetter[]> {
  const tableName = options.table || process.env.MIMEO_TABLE;
  const deadLetterArn = options.arn || process.env.MIMEO_DEAD_LETTER_ARN;
  const queuePrefix = options.queuePrefix || process.env.MIMEO_QUEUE_PREFIX || undefined;
  if (!tableName || !deadLetterArn)
    throw usageError('Name the platform: --table and --arn, or MIMEO_TABLE and MIMEO_DEAD_LETTER_ARN.');
  const { readDeadLetters } = await import('../../operator.ts');
  try {
    return await readDeadLetters({ tableName, deadLetterArn, queuePrefix }, settle);
  } catch (error) {
    const { name, message } = error as Error;
    throw new CliError(
      `The dead-letter queue cannot be read or settled (${name}: ${message}). ` +
        'Check the ARN, the table, AWS_REGION, and what your AWS credentials may do.',
    );
  }
}

function line({ id, sentAt, kind, of, state, advice, done, why }: ExplainedLetter): string {
  const what = of === null ? kind : `${kind} ${of} (${state ?? 'gone'})`;
  return [sentAt, id, (done ?? advice).padEnd(8), what, why].join('  ');
}
