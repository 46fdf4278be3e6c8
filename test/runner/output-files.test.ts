import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { expect, it, onTestFinished } from 'vitest';
import { ProblemError } from '../../services/core/errors.ts';
import { newJobId } from '../../services/core/ids.ts';
import { fileFinder } from '../../services/core/output-files.ts';
import { OutputFiles, parseDataUrl } from '../../services/runner/output-files.ts';
import type { ProgressEvent } from '../../services/runner/transcript.ts';

const Output = { type: 'array', items: { type: 'string', format: 'uri' } };
const finder = fileFinder({ components: { schemas: { Output } } });
const dataUrl = (content: string) => `data:text/plain;base64,${Buffer.from(content).toString('base64')}`;

/** A store that keeps what it is sent, answering with these statuses first. */
async function openStore(...statuses: number[]) {
  const stored: string[] = [];
  const server = createServer(async (request, response) => {
    const body = await text(request);
    response.statusCode = statuses.shift() ?? 200;
    if (response.statusCode === 200) stored.push(`${request.headers['content-type']} ${body}`);
    response.end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const placeFile = async () => ({ name: newJobId(0), url });
  return { stored, placeFile };
}

function filesOf(protocol: ConstructorParameters<typeof OutputFiles>[1]) {
  if (!finder) throw new Error('the schema has no files');
  return new OutputFiles(finder, protocol, { id: 'job', attempt: 1 });
}

it('an element is stored once, though it comes again with the end', async () => {
  const store = await openStore();
  const files = filesOf(store);
  const told: ProgressEvent[] = [];
  files.progress({ type: 'output', index: 0, chunk: dataUrl('a') }, (event) => told.push(event));
  files.progress({ type: 'logs', text: 'line' }, (event) => told.push(event));
  const end = await files.end([dataUrl('a'), dataUrl('b')]);

  expect(store.stored).toEqual(['text/plain a', 'text/plain b']);
  const [a, b] = end.files ?? [];
  expect(end).toEqual({ output: [null, null], files: [a, b] });
  expect([a?.path, b?.path]).toEqual([[0], [1]]);
  expect(told).toEqual([
    { type: 'output', index: 0, chunk: null, files: [{ path: [], name: a?.name }] },
    { type: 'logs', text: 'line' },
  ]);
});

it('a store that fails for a moment is asked again; one that refuses the size is not', async () => {
  const passing = await openStore(503);
  const refusing = await openStore(413, 413);

  expect((await filesOf(passing).end([dataUrl('a')])).files).toHaveLength(1);
  await expect(filesOf(refusing).end([dataUrl('a')])).rejects.toMatchObject({ code: 'payload_too_large' });
});

it('a control plane of the release before gets data URLs, as it always did', async () => {
  const placeFile = async () => {
    throw new ProblemError('not_found', 'There is no such call.');
  };

  expect(await filesOf({ placeFile }).end([dataUrl('a')])).toEqual({
    output: [dataUrl('a')],
    files: undefined,
  });
});

it('too many files are refused before one is stored', async () => {
  const store = await openStore();

  await expect(filesOf(store).end(Array(1001).fill(dataUrl('a')))).rejects.toMatchObject({
    code: 'payload_too_large',
  });
  expect(store.stored).toEqual([]);
});

it.each([
  ['data:image/png;base64,YQ==', 'image/png', 'a'],
  ['data:text/plain;charset=utf-8;base64,YQ==', 'text/plain;charset=utf-8', 'a'],
  ['data:,a%20b', 'application/octet-stream', 'a b'],
])('%s is read', (url, contentType, content) => {
  expect(parseDataUrl(url)).toEqual({ contentType, bytes: Buffer.from(content) });
});

it.each(['data:', 'data:text/plain', 'data:a\r\nb/c,x', 'data:,%', 'https://a/,b'])(
  '%j is no data URL',
  (url) => {
    expect(parseDataUrl(url)).toBeUndefined();
  },
);
