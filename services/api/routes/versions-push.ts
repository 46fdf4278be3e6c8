import { Readable } from 'node:stream';
import type { ReadableStream as NodeReadableStream } from 'node:stream/web';
import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi';
import { stream } from 'hono/streaming';
import type { Logger } from 'pino';
import { ProblemError } from '../../core/errors.ts';
import type { HardwareCatalogue } from '../../core/hardware.ts';
import { type BuiltVersion, gpuMemoryGbSchema, outputStreams, type Version } from '../../core/version.ts';
import type { Models } from '../../data/models.ts';
import type { ApiEnv } from '../auth.ts';
import type { Catalogue } from '../catalogue.ts';
import { jsonResponse, problems } from '../openapi.ts';
import { asProblem, handleInvalid } from '../problems.ts';
import { versionBody } from '../views.ts';

/** Builds versions from the source of Cog models. */
export interface SourceBuilder {
  /** @throws ProblemError `invalid_model`, with nothing left behind */
  build(
    archive: Readable,
    options: { readonly onProgress: (message: string) => void; readonly signal?: AbortSignal },
  ): Promise<BuiltVersion>;
}

interface Parts {
  readonly builder: SourceBuilder;
  readonly accepts: 'source' | 'image';
  /** Most bytes that the files of a model may have together. */
  readonly maxSourceBytes: number;
  readonly models: Models;
  readonly catalogue: Catalogue;
  readonly hardware: HardwareCatalogue;
  readonly now: () => number;
  readonly logger: Logger;
}

/** How a silent build keeps its connection alive. */
const keepAliveMs = 15_000;

const pushQuery = z.object({
  gpu_memory_gb: z
    .string()
    .regex(/^\d{1,6}(\.\d{1,6})?$/, { error: 'must be a number of gigabytes, such as 24', abort: true })
    .transform(Number)
    .pipe(gpuMemoryGbSchema)
    .optional()
    .openapi({
      type: 'number',
      exclusiveMinimum: 0,
      example: 24,
      description: "GPU memory that one instance needs, GB; refused where the model's hardware has less",
    }),
});

const registrySchema = z
  .object({ accepts: z.enum(['source', 'image']), max_source_bytes: z.int() })
  .openapi('Registry');

/** What the server takes, and pushes of source. */
export function versionPushRoutes(app: OpenAPIHono<ApiEnv>, parts: Parts): void {
  app.openapi(
    createRoute({
      method: 'get',
      path: '/v1/registry',
      operationId: 'registry.get',
      responses: { 200: jsonResponse(registrySchema, 'What a push to this server sends'), ...problems(401) },
    }),
    (context) => context.json({ accepts: parts.accepts, max_source_bytes: parts.maxSourceBytes }, 200),
  );

  app.openAPIRegistry.registerPath(
    createRoute({
      method: 'post',
      path: '/v1/models/{owner}/{name}/versions',
      operationId: 'models.versions.push',
      description:
        'The body is a gzipped tar archive of a Cog folder. The answer is a line of JSON for each step: ' +
        '`{type: "progress" | "warning", message}`, and at the end `{type: "version", created, version}` or ' +
        '`{type: "problem", problem}`.',
      request: {
        params: z.object({ owner: z.string(), name: z.string() }),
        query: pushQuery,
        body: {
          content: { 'application/gzip': { schema: z.string().openapi({ format: 'binary' }) } },
          required: true,
        },
      },
      responses: {
        200: {
          content: { 'application/x-ndjson': { schema: z.string() } },
          description: 'The steps of the build',
        },
        ...problems(400, 401, 403, 404, 415, 422),
      },
    }),
  );
  app.post('/v1/models/:owner/:name/versions', async (context) => {
    const { owner, name } = context.req.param();
    const { account } = context.get('caller');
    const model = await parts.catalogue.model(`${owner}/${name}`, account);
    if (model.account !== account)
      throw new ProblemError('forbidden', `Only ${model.account} may push to ${owner}/${name}.`);
    const gpuMemoryGb = readGpuMemory(context.req.query());
    const tooSmall = parts.hardware.whyTooSmall(model.hardware, gpuMemoryGb);
    if (tooSmall !== undefined) {
      const detail = `${owner}/${name} runs on ${model.hardware}, which cannot hold this version. ${tooSmall}`;
      throw new ProblemError('invalid_body', `- gpu_memory_gb: ${detail}`);
    }
    const archive = sourceOf(context.req.raw);
    context.header('content-type', 'application/x-ndjson');
    return stream(context, async (lines) => {
      const say = (line: object) => void lines.write(`${JSON.stringify(line)}\n`);
      const timer = setInterval(() => void lines.write('\n'), keepAliveMs);
      const abort = new AbortController();
      lines.onAbort(() => abort.abort());
      try {
        const { version, created, warnings } = await push(parts, `${owner}/${name}`, archive, say, {
          gpuMemoryGb,
          signal: abort.signal,
        });
        for (const message of warnings) say({ type: 'warning', message });
        await lines.write(`${JSON.stringify({ type: 'version', created, version: versionBody(version) })}\n`);
      } catch (error) {
        // Whoever has gone reads no answer.
        if (abort.signal.aborted) return;
        const problem = asProblem(error);
        if (problem.status >= 500)
          parts.logger.error({ err: error, model: `${owner}/${name}` }, 'push failed');
        await lines.write(`${JSON.stringify({ type: 'problem', problem: problem.toProblem() })}\n`);
      } finally {
        clearInterval(timer);
      }
    });
  });
}

/** Builds a version and adds it to its model. */
export async function push(
  parts: Pick<Parts, 'builder' | 'models' | 'now'>,
  model: string,
  archive: Readable,
  say: (line: { type: 'progress'; message: string }) => void,
  { gpuMemoryGb, signal }: { readonly gpuMemoryGb?: number | undefined; readonly signal?: AbortSignal } = {},
): Promise<{ version: Version; created: boolean; warnings: readonly string[] }> {
  const built = await parts.builder.build(archive, {
    onProgress: (message) => say({ type: 'progress', message }),
    signal,
  });
  const { warnings, readme, ...content } = built;
  const fresh: Version = {
    ...content,
    model,
    createdAt: parts.now(),
    streams: outputStreams(content.openapiSchema),
    ...(gpuMemoryGb !== undefined && { gpuMemoryGb }),
  };
  const created = await parts.models.addVersion(fresh);
  // As it is stored: with what it breaks, or as it was before.
  const version = await parts.models.getVersion(model, built.id);
  if (!version) throw new Error(`Version ${built.id} of ${model} has vanished`);
  // A readme that was written by hand since the same folder was pushed stays.
  if (readme && (created || (await parts.models.readme(model)) === undefined))
    await parts.models.setReadme(model, readme);
  const restated = gpuMemoryGb !== undefined && gpuMemoryGb !== version.gpuMemoryGb;
  return { version, created, warnings: restated ? [...warnings, keepsNeed(version)] : warnings };
}

/** What a version says of itself is never changed. */
function keepsNeed({ gpuMemoryGb }: Version): string {
  const said =
    gpuMemoryGb === undefined ? 'not to say what GPU memory it needs' : `to need ${gpuMemoryGb} GB`;
  return `this version was pushed before, ${said}, and stays so; change the folder to make a new version`;
}

function readGpuMemory(query: Record<string, string>): number | undefined {
  const result = pushQuery.safeParse(query);
  if (!result.success) handleInvalid({ ...result, target: 'query' });
  return result.data?.gpu_memory_gb;
}

function sourceOf(request: Request): Readable {
  const type = request.headers.get('content-type') ?? '';
  if (!/^application\/(?:x-)?gzip\b/.test(type)) {
    throw new ProblemError(
      'unsupported_media_type',
      'Send the Cog folder as application/gzip: a gzipped tar archive.',
    );
  }
  if (!request.body)
    throw new ProblemError('invalid_request', 'The body is empty; send a gzipped tar archive.');
  return Readable.fromWeb(request.body as NodeReadableStream);
}
