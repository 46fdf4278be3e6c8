/** The server went away, or was never there, before its answer was whole. */
export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost';
}

/** The body had more bytes than were asked for. */
export class AnswerTooLarge extends Error {
  override readonly name = 'AnswerTooLarge';
}

export interface AnswerSink {
  readonly maxBodyBytes: number;
  onHead(status: number): void;
  onBody(chunk: Buffer): void;
  /** `reusable`: whether the connection may carry another request. */
  onEnd(reusable: boolean): void;
}

const maxHeadBytes = 64 * 1024;
const maxChunkLineBytes = 1024;
const empty = Buffer.alloc(0);

/** Reads one HTTP/1.1 answer (RFC 9112) from the bytes of a connection. */
export class AnswerParser {
  readonly #sink: AnswerSink;
  #state: 'head' | 'length' | 'chunk size' | 'chunk' | 'chunk end' | 'trailer' | 'until close' | 'done' =
    'head';
  /** Bytes that are not understood yet. */
  #rest: Buffer = empty;
  /** Bytes of the body, or of the chunk, that are still to come. */
  #left = 0;
  #bodyBytes = 0;
  #reusable = true;

  constructor(sink: AnswerSink) {
    this.#sink = sink;
  }

  /** @throws AnswerTooLarge, ConnectionLost where the bytes are not HTTP */
  feed(data: Buffer): void {
    this.#rest = this.#rest.length === 0 ? data : Buffer.concat([this.#rest, data]);
    while (this.#step());
  }

  /** The other side sends no more. */
  finish(): void {
    if (this.#state !== 'until close') return;
    this.#state = 'done';
    this.#sink.onEnd(false);
  }

  /** Understands one more piece; false where more bytes are needed. */
  #step(): boolean {
    switch (this.#state) {
      case 'head':
        return this.#readHead();
      case 'length':
      case 'chunk':
      case 'until close':
        return this.#readBody();
      case 'chunk size':
        return this.#readLine((line) => {
          const size = /^([0-9a-f]{1,8})\s*(;|$)/i.exec(line);
          if (!size?.[1]) throw notHttp('the length of a chunk');
          this.#left = Number.parseInt(size[1], 16);
          this.#state = this.#left > 0 ? 'chunk' : 'trailer';
        });
      case 'chunk end':
        return this.#readLine(() => {
          this.#state = 'chunk size';
        });
      case 'trailer':
        return this.#readLine((line) => {
          if (line === '') this.#end();
        });
      case 'done':
        if (this.#rest.length > 0) throw notHttp('more than one answer');
        return false;
    }
  }

  #readHead(): boolean {
    const end = this.#rest.indexOf('\r\n\r\n');
    if (end < 0) {
      if (this.#rest.length > maxHeadBytes) throw notHttp('headers without an end');
      return false;
    }
    const head = this.#rest.toString('latin1', 0, end).toLowerCase();
    this.#rest = this.#rest.subarray(end + 4);
    const status = /^http\/1\.[01] (\d{3})/.exec(head)?.[1];
    if (!status) throw notHttp('a status line');
    // 1xx: the answer proper follows.
    if (status.startsWith('1')) return true;
    this.#reusable = head.startsWith('http/1.1') && !head.includes('\r\nconnection: close');
    this.#sink.onHead(Number(status));
    const length = /\r\ncontent-length: *(\d{1,15})\s*(?:\r|$)/.exec(head)?.[1];
    if (/\r\ntransfer-encoding: *chunked/.test(head)) {
      this.#state = 'chunk size';
    } else if (length !== undefined) {
      this.#left = Number(length);
      if (this.#left > this.#sink.maxBodyBytes) throw tooLarge(this.#sink.maxBodyBytes);
      this.#state = 'length';
      if (this.#left === 0) this.#end();
    } else if (status === '204' || status === '304') {
      this.#end();
    } else {
      this.#state = 'until close';
    }
    return true;
  }

  #readBody(): boolean {
    if (this.#rest.length === 0) return false;
    const all = this.#state === 'until close';
    const piece = all ? this.#rest : this.#rest.subarray(0, this.#left);
    this.#rest = this.#rest.subarray(piece.length);
    this.#bodyBytes += piece.length;
    if (this.#bodyBytes > this.#sink.maxBodyBytes) throw tooLarge(this.#sink.maxBodyBytes);
    this.#sink.onBody(piece);
    if (all) return false;
    this.#left -= piece.length;
    if (this.#left > 0) return false;
    if (this.#state === 'chunk') this.#state = 'chunk end';
    else this.#end();
    return true;
  }

  #readLine(use: (line: string) => void): boolean {
    const end = this.#rest.indexOf('\r\n');
    if (end < 0) {
      if (this.#rest.length > maxChunkLineBytes) throw notHttp('a line without an end');
      return false;
    }
    const line = this.#rest.toString('latin1', 0, end);
    this.#rest = this.#rest.subarray(end + 2);
    use(line);
    return true;
  }

  #end(): void {
    this.#state = 'done';
    this.#sink.onEnd(this.#reusable && this.#rest.length === 0);
  }
}

function notHttp(where: string): ConnectionLost {
  return new ConnectionLost(`the server does not speak HTTP: ${where}`);
}

function tooLarge(maxBodyBytes: number): AnswerTooLarge {
  return new AnswerTooLarge(`the answer is larger than ${maxBodyBytes} bytes`);
}
