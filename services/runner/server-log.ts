import { z } from 'zod';

/** A line of coglet's log (tracing's JSON form), which it writes to stderr. */
const lineSchema = z.object({
  target: z.string(),
  fields: z.looseObject({ message: z.string(), prediction_id: z.string().optional() }),
});

/**
 * What a prediction printed, by coglet's log. For the plain answer to a run that failed leaves its logs out
 * (coglet 0.23.1, transport/http/routes.rs: `"logs": ""`).
 */
export function predictionLogs(serverLog: string, predictionId: string): string {
  const about = serverLog.split('\n').filter((line) => line.includes(predictionId));
  return parseLines(about)
    .filter(({ fields }) => fields.prediction_id === predictionId && 'source' in fields)
    .map(({ fields }) => `${fields.message}\n`)
    .join('');
}

/** What a model printed while it was set up, by coglet's log. */
export function setupLogs(serverLog: string): string {
  return parseLines(serverLog.split('\n'))
    .filter(({ target }) => target === 'coglet::setup')
    .map(({ fields }) => `${fields.message}\n`)
    .join('');
}

/** What coglet's health check tells of a setup, without what coglet says of itself. */
export function withoutServerLines(setupLogs: string): string {
  return setupLogs
    .split('\n')
    .filter((line) => !/^\[coglet(?!::setup\])[\w:]*\] /.test(line))
    .map((line) => line.replace(/^\[coglet::setup\] /, ''))
    .join('\n');
}

/** What any program wrote, for people: coglet's lines are reduced to their messages. */
export function readableLog(serverLog: string): string {
  return serverLog
    .split('\n')
    .map((line) => parseLine(line)?.fields.message ?? line)
    .join('\n');
}

function parseLines(lines: readonly string[]): z.infer<typeof lineSchema>[] {
  return lines.map(parseLine).filter((line) => line !== undefined);
}

function parseLine(line: string): z.infer<typeof lineSchema> | undefined {
  if (!line.startsWith('{"timestamp"')) return undefined;
  try {
    return lineSchema.safeParse(JSON.parse(line)).data;
  } catch {
    // Cut off at the start of what was kept.
    return undefined;
  }
}
