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

/** What a model printed while it was set up, by coglet's log; lines that are late come as `coglet::user`. */
export function setupLogs(serverLog: string): string {
  return parseLines(serverLog.split('\n'))
    .filter(({ target }) => target === 'coglet::setup' || target === 'coglet::user')
    .map(({ fields }) => `${fields.message}\n`)
    .join('');
}

/** What coglet's health check tells of a setup, without what coglet says of itself. */
export function withoutServerLines(setupLogs: string): string {
  return setupLogs
    .split('\n')
    .filter((line) => !/^\[coglet(?!::(setup|user)\])[\w:]*\] /.test(line))
    .map((line) => line.replace(/^\[coglet::(setup|user)\] /, ''))
    .join('\n');
}

/** A line of the older line's log (structlog's JSON form). */
const oldLineSchema = z.object({ logger: z.string(), message: z.string(), exception: z.string().optional() });

/** What any program wrote, for people: the servers' own lines are reduced to what they say. */
export function readableLog(serverLog: string): string {
  return serverLog
    .split('\n')
    .map((line) => {
      const old = oldLineSchema.safeParse(parseJson(line)).data;
      if (old) return old.exception ? `${old.message}\n${old.exception}` : old.message;
      return parseLine(line)?.fields.message ?? line;
    })
    .join('\n');
}

function parseLines(lines: readonly string[]): z.infer<typeof lineSchema>[] {
  return lines.map(parseLine).filter((line) => line !== undefined);
}

function parseLine(line: string): z.infer<typeof lineSchema> | undefined {
  return lineSchema.safeParse(parseJson(line)).data;
}

/** Undefined for what is no JSON, such as a line whose start was not kept. */
function parseJson(line: string): unknown {
  if (!line.startsWith('{')) return undefined;
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
