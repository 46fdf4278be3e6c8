import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { UploadRoom } from '../../services/api/upload-room.ts';
import { openApi, type TestApi } from '../support/api.ts';

describe('uploads whose bytes are held in memory', () => {
  const size = { bytes: 4000, bytesEach: 1500 };
  let small: TestApi;
  let open: ReadableStreamDefaultController<Uint8Array>[];
  beforeEach(async () => {
    open = [];
    small = await openApi(undefined, { uploadRoom: { ...size, waitMs: 10 } });
  });
  afterEach(async () => small.close());

  const head = '--b\r\ncontent-disposition: form-data; name="content"; filename="a.txt"\r\n\r\n';
  const tail = '\r\n--b--\r\n';
  const send = async (token: string, body: ReadableStream | string, more: Record<string, string> = {}) => {
    const type = 'multipart/form-data; boundary=b';
    const headers = { authorization: `Bearer ${token}`, 'content-type': type, ...more };
    return await small.api.app.request('/v1/files', { method: 'POST', headers, body, duplex: 'half' });
  };
  /** An upload, of a length that nobody knows, that goes on until it is ended. */
  async function begin(token = small.token) {
    const { promise: begun, resolve: begins } = Promise.withResolvers<void>();
    const body = new ReadableStream<Uint8Array>(
      {
        start: (controller) => void open.push(controller),
        // What was there has been read.
        pull: () => begins(),
      },
      { highWaterMark: 1 },
    );
    open.at(-1)?.enqueue(Buffer.from(head));
    const answered = send(token, body);
    const refused = await Promise.race([begun, answered]);
    return { answered, refused };
  }
  function end(): void {
    for (const controller of open.splice(0)) {
      controller.enqueue(Buffer.from(`abc${tail}`));
      controller.close();
    }
  }

  it('are as many as there is room for, of which one account has half', async () => {
    const [other, third] = [await small.addAccount('other'), await small.addAccount('third')];
    const held = [await begin(), await begin(other)];
    expect(held.map(({ refused }) => refused)).toEqual([undefined, undefined]);
    for (const { refused } of [await begin(), await begin(third)])
      expect([refused?.status, refused?.headers.get('retry-after')]).toEqual([503, '5']);
    end();
    for (const { answered } of held) expect((await answered).status).toBe(201);

    const again = await begin(third);
    end();
    expect((await again.answered).status).toBe(201);
  });

  it('wait for room in the order in which they came, as far as they fit', async () => {
    const room = new UploadRoom({ ...size, waitMs: 60_000 });
    const entered: string[] = [];
    const enter = async (name: string, account: string, length?: number) => {
      const leave = await room.enter(account, length);
      entered.push(name);
      return leave;
    };
    const first = await enter('first', 'ada');
    const second = enter('second', 'ada');
    const third = enter('third', 'ada');
    await enter('small', 'ada', 500);
    const other = await enter('other', 'bob');
    first();
    (await second)();
    other();
    await third;

    expect(entered).toEqual(['first', 'small', 'other', 'second', 'third']);
  });

  it('take no more room than they announce', async () => {
    const held = await begin();
    const body = `${head}abc${tail}`;
    const length = { 'content-length': String(body.length) };

    expect((await send(small.token, body, length)).status).toBe(201);
    end();
    expect((await held.answered).status).toBe(201);
  });
});
