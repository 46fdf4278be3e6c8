import { Command } from 'commander';
import { z } from 'zod';
import { usageError } from '../failure.ts';
import { print } from '../terminal.ts';
import { readTime } from '../times.ts';
import { addServerOptions, connect, type ServerOptions } from './server-options.ts';

const deliveryAnswer = z.looseObject({
  id: z.string(),
  event: z.string(),
  url: z.string(),
  state: z.string(),
  created_at: z.string(),
  next_try_at: z.string().nullish(),
  attempts: z.array(
    z.looseObject({
      at: z.string(),
      status: z.number().nullable(),
      ms: z.number(),
      error: z.string().nullable(),
      excerpt: z.string(),
    }),
  ),
});
type DeliveryAnswer = z.infer<typeof deliveryAnswer>;

const pageAnswer = z.looseObject({ next: z.string().nullable(), results: z.array(deliveryAnswer) });
const countAnswer = z.looseObject({ redelivered: z.number() });

interface Options extends ServerOptions {
  readonly json?: boolean;
}

/** `mimeo webhooks`: what became of webhooks, and to send them again. */
export function webhooksCommand(signal: AbortSignal): Command {
  const command = new Command('webhooks')
    .description('See what became of your webhooks, and have them sent again.')
    .addHelpText(
      'after',
      `
Examples:
  $ npx mimeo webhooks --state dead
  $ npx mimeo webhooks show ID
  $ npx mimeo webhooks redeliver --since 2h`,
    );
  const add = (name: string, description: string) =>
    addServerOptions(new Command(name).description(description)).option('--json', 'print the answer as JSON');
  command.addCommand(
    add('list', 'The latest deliveries, the newest first.')
      .option('--prediction <id>', 'only those of one prediction')
      .option('--state <state>', 'only those that are pending, delivered or dead')
      .action((options: ListOptions) => list(options, signal)),
    { isDefault: true },
  );
  command.addCommand(
    add('show', 'One delivery with every attempt.')
      .argument('<id>')
      .action((id: string, options: Options) => show(id, options, signal)),
  );
  command.addCommand(
    add('redeliver', 'Send one again, or all that did not arrive since a time.')
      .argument('[id]')
      .option('--since <time>', 'all that did not arrive since then: 30m, 2h, 1d or an ISO 8601 time')
      .action((id: string | undefined, options: RedeliverOptions) => redeliver(id, options, signal)),
  );
  return command;
}

interface ListOptions extends Options {
  readonly prediction?: string;
  readonly state?: string;
}

async function list(options: ListOptions, signal: AbortSignal): Promise<void> {
  const client = await connect(options);
  const { prediction, state } = options;
  const query = new URLSearchParams({ ...(prediction && { prediction }), ...(state && { state }) });
  const { results } = await client.call('GET', `/webhooks/deliveries?${query}`, pageAnswer, { signal });
  if (options.json) return print(JSON.stringify(results, undefined, 2));
  for (const delivery of results) print(line(delivery));
}

async function show(id: string, options: Options, signal: AbortSignal): Promise<void> {
  const client = await connect(options);
  const path = `/webhooks/deliveries/${encodeURIComponent(id)}`;
  const delivery = await client.call('GET', path, deliveryAnswer, { signal });
  if (options.json) return print(JSON.stringify(delivery, undefined, 2));
  print(line(delivery));
  for (const { at, status, ms, error, excerpt } of delivery.attempts) {
    const said = excerpt === '' ? '' : `  ${JSON.stringify(excerpt)}`;
    print(`  ${at}  ${status ?? '-'}  ${ms} ms  ${error ?? 'accepted'}${said}`);
  }
  if (delivery.next_try_at) print(`  next try at ${delivery.next_try_at}`);
}

interface RedeliverOptions extends Options {
  readonly since?: string;
}

async function redeliver(
  id: string | undefined,
  options: RedeliverOptions,
  signal: AbortSignal,
): Promise<void> {
  if ((id === undefined) === (options.since === undefined))
    throw usageError('Name one delivery, or a time: npx mimeo webhooks redeliver --since 2h');
  const since =
    options.since === undefined ? undefined : new Date(readTime(options.since, Date.now())).toISOString();
  const client = await connect(options);
  if (id !== undefined) {
    const path = `/webhooks/deliveries/${encodeURIComponent(id)}/redeliver`;
    const delivery = await client.call('POST', path, deliveryAnswer, { signal });
    return print(options.json ? JSON.stringify(delivery, undefined, 2) : line(delivery));
  }
  const answer = await client.call('POST', '/webhooks/deliveries/redeliver', countAnswer, {
    json: { since },
    signal,
  });
  print(options.json ? JSON.stringify(answer) : `${answer.redelivered} are sent again.`);
}

function line({ id, state, event, url, created_at, attempts }: DeliveryAnswer): string {
  const last = attempts.at(-1);
  const outcome = last === undefined ? 'not tried yet' : (last.error ?? `${last.status} in ${last.ms} ms`);
  return [created_at, state.padEnd(9), event.padEnd(9), id, url, outcome].join('  ');
}
