import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { boundaryOf, readMultipart } from '../../services/api/multipart.ts';

const boundary = 'b0undary';

async function* pieces(bytes: Buffer, sizes: readonly number[]): AsyncGenerator<Buffer> {
  for (let at = 0, index = 0; at < bytes.length; index++) {
    const size = sizes[index % sizes.length] ?? 1;
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

async function read(body: Buffer | string, sizes: readonly number[] = [64 * 1024]) {
  const parts = [];
  for await (const { body: bytes, ...part } of readMultipart(pieces(Buffer.from(body), sizes), boundary)) {
    const chunks: Buffer[] = [];
    for await (const chunk of bytes) chunks.push(Buffer.from(chunk));
    parts.push({ ...part, bytes: Buffer.concat(chunks) });
  }
  return parts;
}

function render(parts: readonly { readonly name: string; readonly bytes: Buffer }[]): Buffer {
  const rendered = parts.map(({ name, bytes }) =>
    Buffer.concat([
      Buffer.from(`--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n`),
      bytes,
      Buffer.from('\r\n'),
    ]),
  );
  return Buffer.concat([...rendered, Buffer.from(`--${boundary}--\r\n`)]);
}

const part = (headers: string, text = 'x') => `--${boundary}\r\n${headers}\r\n\r\n${text}\r\n--${boundary}--`;

describe('a multipart body', () => {
  it('is the same however it is cut into pieces', async () => {
    // Made of what boundaries are made of, so that near misses are common.
    const piece = fc.constantFrom(
      '\r',
      '\n',
      '-',
      '--',
      '\r\n--',
      `\r\n--${boundary.slice(0, -1)}`,
      'b',
      'x',
    );
    const content = fc
      .array(piece, { maxLength: 30 })
      .map((texts) => texts.join(''))
      .filter((text) => !`\r\n${text}\r\n`.includes(`\r\n--${boundary}`))
      .map((text) => Buffer.from(text));
    const parts = fc.array(fc.record({ name: fc.constantFrom('content', 'metadata'), bytes: content }), {
      minLength: 1,
      maxLength: 4,
    });
    const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 5 });

    await fc.assert(
      fc.asyncProperty(parts, sizes, async (given, cuts) => {
        const found = await read(render(given), cuts);

        expect(found.map(({ name, bytes }) => ({ name, bytes }))).toEqual(given);
      }),
    );
  });

  it('keeps every byte of a binary file', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 5000 }),
        fc.integer({ min: 1, max: 999 }),
        async (file, cut) => {
          const bytes = Buffer.from(file);

          expect((await read(render([{ name: 'content', bytes }]), [cut]))[0]?.bytes).toEqual(bytes);
        },
      ),
    );
  });

  it.each([
    ['form-data; name="content"; filename="a.png"', 'a.png'],
    ['form-data; filename="a;b.png"; name="content"', 'a;b.png'],
    ['form-data; name="content"; filename="a\\"b.png"', 'a"b.png'],
    ['form-data; name="content"; filename="a%22%0D%0Ab.png"', 'a"\r\nb.png'],
    [`form-data; name="content"; filename="?"; filename*=utf-8''%C5%BC.png`, 'ż.png'],
    ['form-data; name=content; filename=a.png', 'a.png'],
  ])('names its file by %s', async (disposition, filename) => {
    expect(await read(part(`Content-Disposition: ${disposition}`))).toMatchObject([
      { name: 'content', filename },
    ]);
  });

  it('may have something before its first boundary and after its last', async () => {
    const body = `preamble\r\n${part('content-disposition: form-data; name="a"', 'text')}\r\nepilogue`;

    expect(await read(body)).toMatchObject([{ name: 'a', bytes: Buffer.from('text') }]);
  });

  it('skips what nobody read of a part', async () => {
    const body = render([
      { name: 'content', bytes: Buffer.alloc(100_000) },
      { name: 'metadata', bytes: Buffer.from('{}') },
    ]);
    const names = [];
    for await (const { name } of readMultipart(pieces(body, [1000]), boundary)) names.push(name);

    expect(names).toEqual(['content', 'metadata']);
  });

  it.each([
    ['', 'ends before'],
    ['{}', 'ends before'],
    [`--${boundary}\r\n`, 'ends before'],
    [`--${boundary}\r\ncontent-disposition: form-data; name="a"\r\n\r\ntext`, 'ends before'],
    [`--${boundary}x\r\n\r\n\r\n`, 'goes on'],
    [part(''), 'content-disposition'],
    [part('content-disposition: form-data'), 'content-disposition'],
    [part('no header'), 'no name'],
    [part(`x: ${'y'.repeat(20_000)}`), 'longer than'],
    [part(`content-disposition: form-data; name="a"; filename*=utf-8''%FF`), 'not encoded'],
    [render(Array.from({ length: 101 }, () => ({ name: 'a', bytes: Buffer.from('') }))), 'more than'],
  ])('is refused where it is broken: %#', async (body, why) => {
    await expect(read(body)).rejects.toMatchObject({ code: 'invalid_request' });
    await expect(read(body)).rejects.toThrow(why);
  });
});

it.each([
  ['multipart/form-data; boundary=abc', 'abc'],
  ['Multipart/Form-Data; charset=utf-8; boundary="a b"', 'a b'],
  ['multipart/form-data', undefined],
  ['application/json; boundary=abc', undefined],
  [`multipart/form-data; boundary=${'x'.repeat(71)}`, undefined],
  [undefined, undefined],
])('the boundary of %s is %s', (contentType, expected) => {
  expect(boundaryOf(contentType)).toBe(expected);
});
