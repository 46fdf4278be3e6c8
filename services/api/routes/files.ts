import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi';
import { fileObjectKey } from '../../data/files.ts';
import type { ApiEnv } from '../auth.ts';
import type { FileUploads } from '../file-uploads.ts';
import { objectAnswer } from '../object-answer.ts';
import { jsonResponse, problems } from '../openapi.ts';
import { nextUrl } from '../paging.ts';
import { pageOf } from '../schemas.ts';

/** Takes a body of multipart/form-data in place of JSON. */
export const filesPath = '/v1/files';

const time = z.string().openapi({ description: 'ISO 8601, UTC' });

const fileSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    content_type: z.string(),
    size: z.int(),
    etag: z.string(),
    checksums: z.object({ sha256: z.string() }),
    metadata: z.record(z.string(), z.unknown()),
    created_at: time,
    expires_at: time,
    urls: z.object({
      get: z.string().openapi({ description: 'Reads the file without a token for as long as it is kept' }),
    }),
  })
  .openapi('File');
export type FileBody = z.infer<typeof fileSchema>;

const uploadSchema = z.object({
  content: z.string().openapi({ format: 'binary' }),
  metadata: z.string().optional().openapi({ description: 'An object of JSON' }),
  filename: z.string().optional().openapi({ description: 'In place of the name that `content` carries' }),
  type: z.string().optional().openapi({ description: 'In place of the content type that `content` carries' }),
});

/** How long a download may take to begin where the store's own URL leads to it. */
const redirectSeconds = 600;

const cors = { 'access-control-allow-origin': '*' };
const id = z.object({ id: z.string() });

/**
 * Downloads by signed URLs, without a token.
 * @param redirects whether the store has URLs of its own that clients reach: a slow download through here would hold one
 *   of this process's connections to it for as long as it takes
 */
export function fileDownloadRoutes(
  app: OpenAPIHono<ApiEnv>,
  uploads: FileUploads,
  { redirects }: { readonly redirects: boolean },
): void {
  const path = `${filesPath}/:id/download`;
  app.options(path, (context) =>
    context.body(null, 204, {
      ...cors,
      'access-control-allow-methods': 'GET, HEAD',
      'access-control-allow-headers': 'authorization, if-none-match, if-range, range',
      'access-control-max-age': '86400',
    }),
  );
  const contents = { '*/*': { schema: z.string().openapi({ format: 'binary' }) } };
  app.openAPIRegistry.registerPath(
    createRoute({
      method: 'get',
      path: `${filesPath}/{id}/download`,
      operationId: 'files.download',
      security: [],
      request: {
        params: id,
        query: z.object({ owner: z.string(), expiry: z.string(), signature: z.string() }),
      },
      responses: {
        200: { content: contents, description: 'The file' },
        206: { content: contents, description: 'The range that was asked for' },
        302: { description: 'It is there, for some minutes, without a token' },
        304: { description: 'It is what the client has' },
        416: { description: 'The range has none of its bytes' },
        ...problems(401, 404),
      },
    }),
  );
  app.get(path, async (context) => {
    const { owner = '', expiry = '', signature = '' } = context.req.query();
    const file = await uploads.download({ id: context.req.param('id'), owner, expiry, signature }, cors);
    const etag = `"${file.sha256}"`;
    const key = fileObjectKey(file);
    const isKnown = context.req.header('if-none-match') === etag;
    // A URL of the store is signed for GET alone.
    if (redirects && context.req.method === 'GET' && !isKnown) {
      const location = await uploads.objects.signGet(key, { expiresSeconds: redirectSeconds });
      return context.body(null, 302, { ...cors, location, 'cache-control': 'no-store' });
    }
    return await objectAnswer(context, uploads.objects, key, { name: file.name, etag });
  });
}

/** Upload, list, read and delete files. */
export function fileRoutes(app: OpenAPIHono<ApiEnv>, uploads: FileUploads, publicUrl: () => string): void {
  app.openAPIRegistry.registerPath(
    createRoute({
      method: 'post',
      path: filesPath,
      operationId: 'files.create',
      request: { body: { content: { 'multipart/form-data': { schema: uploadSchema } }, required: true } },
      responses: { 201: jsonResponse(fileSchema, 'The file, stored'), ...problems(400, 401, 413, 415, 422) },
    }),
  );
  app.post(filesPath, async (context) =>
    context.json(await uploads.create(context.req.raw, context.get('caller').account), 201),
  );

  app.openapi(
    createRoute({
      method: 'get',
      path: filesPath,
      operationId: 'files.list',
      request: { query: z.object({ cursor: z.string().optional() }) },
      responses: { 200: jsonResponse(pageOf(fileSchema), 'A page, newest first'), ...problems(400, 401) },
    }),
    async (context) => {
      const { cursor } = context.req.valid('query');
      const { results, next } = await uploads.list(context.get('caller').account, cursor);
      return context.json(
        { next: nextUrl(`${publicUrl()}${filesPath}`, next), previous: null, results: [...results] },
        200,
      );
    },
  );

  app.openapi(
    createRoute({
      method: 'get',
      path: `${filesPath}/{id}`,
      operationId: 'files.get',
      request: { params: id },
      responses: { 200: jsonResponse(fileSchema, 'The file'), ...problems(401, 404) },
    }),
    async (context) =>
      context.json(await uploads.get(context.req.valid('param').id, context.get('caller').account), 200),
  );

  app.openapi(
    createRoute({
      method: 'delete',
      path: `${filesPath}/{id}`,
      operationId: 'files.delete',
      request: { params: id },
      responses: { 204: { description: 'It is gone' }, ...problems(401, 404) },
    }),
    async (context) => {
      await uploads.remove(context.req.valid('param').id, context.get('caller').account);
      return context.body(null, 204);
    },
  );
}
