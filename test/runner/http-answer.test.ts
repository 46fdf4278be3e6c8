import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AnswerParser, AnswerTooLarge, ConnectionLost } from '../../services/runner/http-answer.ts';

interface Read {
  status: number;
  body: string;
  reusable: boolean | undefined;
}

function read(pieces: readonly Buffer[], maxBodyBytes = 1_000_000): Read {
  const seen: Read = { status: 0, body: '', reusable: undefined };
  const body: Buffer[] = [];
  const parser = new AnswerParser({
    maxBodyBytes,
    onHead: (status) => {
      seen.status = status;
    },
    onBody: (chunk) => body.push(chunk),
    onEnd: (reusable) => {
      seen.reusable = reusable;
    },
  });
  for (const piece of pieces) parser.feed(piece);
  return { ...seen, body: Buffer.concat(body).toString('utf8') };
}

function cut(whole: Buffer, cuts: readonly number[]): Buffer[] {
  const at = [0, ...cuts.map((n) => n % (whole.length + 1)).sort((a, b) => a - b), whole.length];
  return at.slice(1).map((end, i) => whole.subarray(at[i], end));
}

function chunked(chunks: readonly string[]): string {
  const parts = chunks.map((chunk) => `${Buffer.byteLength(chunk).toString(16)}\r\n${chunk}\r\n`);
  return `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${parts.join('')}0\r\n\r\n`;
}

const cuts = fc.array(fc.nat(), { maxLength: 12 });

test('an answer reads the same however its bytes are cut', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), cuts, (body, at) => {
      const length = Buffer.byteLength(body);
      const whole = Buffer.from(`HTTP/1.1 422 No\r\nContent-Length: ${length}\r\n\r\n${body}`);

      expect(read(cut(whole, at))).toEqual({ status: 422, body, reusable: true });
    }),
  );
});

test('a chunked answer reads the same however its bytes are cut', () => {
  const chunks = fc.array(fc.string({ unit: 'grapheme', minLength: 1 }));
  fc.assert(
    fc.property(chunks, cuts, (parts, at) => {
      const whole = Buffer.from(chunked(parts));

      expect(read(cut(whole, at))).toEqual({ status: 200, body: parts.join(''), reusable: true });
    }),
  );
});

test('bytes that are not HTTP are refused, not waited for', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 200 }), (bytes) => {
      const junk = Buffer.concat([Buffer.from('x'), Buffer.from(bytes), Buffer.from('\r\n\r\n')]);

      expect(() => read([junk])).toThrow(ConnectionLost);
    }),
  );
});

test.each([
  ['a length', 'HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n'],
  ['chunks', chunked(['abcdef', 'ghijkl'])],
  ['neither', 'HTTP/1.1 200 OK\r\n\r\nabcdefghijkl'],
])('a body with %s that is too large is refused', (_how, answer) => {
  expect(() => read([Buffer.from(answer)], 10)).toThrow(AnswerTooLarge);
});

test('headers without an end are refused', () => {
  expect(() => read([Buffer.from(`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(70_000)}`)])).toThrow(ConnectionLost);
});

test('a connection that the server closes is not used again', () => {
  const answer = 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok';

  expect(read([Buffer.from(answer)]).reusable).toBe(false);
});
