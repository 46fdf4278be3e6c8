import { stderr, stdin, stdout } from 'node:process';
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';

const frames = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const clearLine = '\r\u001b[2K';

/**
 * What is going on, on stderr: on a terminal one line that lives, with the seconds that passed; elsewhere one line for
 * each new message. Nothing is shown in the first `quietMs`, so that quick things stay quiet.
 */
export class Progress {
  readonly #startedAt = performance.now();
  readonly #live = stderr.isTTY === true;
  readonly #quietMs: number;
  #message = '';
  #detail = '';
  #printed = '';
  #frame = 0;
  #drawn = false;
  #midLine = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(quietMs: number) {
    this.#quietMs = quietMs;
  }

  /** @param detail what changes all the time: it alone makes no new line where stderr is no terminal */
  update(message: string, detail = ''): void {
    this.#message = message;
    this.#detail = detail;
    this.#timer ??= setInterval(() => this.#show(), 100).unref();
    this.#show();
  }

  /** Writes above the living line. */
  print(text: string): void {
    this.#clear();
    stderr.write(text);
    this.#midLine = !text.endsWith('\n');
  }

  /** Takes the living line away. It comes back with the next `update`. */
  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#clear();
    this.#message = '';
  }

  #show(): void {
    const elapsedMs = performance.now() - this.#startedAt;
    if (!this.#message || this.#midLine || elapsedMs < this.#quietMs) return;
    const text = this.#detail ? `${this.#message}, ${this.#detail}` : this.#message;
    if (this.#live) {
      this.#drawn = true;
      const frame = frames[this.#frame++ % frames.length];
      const line = `${frame} ${text} (${Math.floor(elapsedMs / 1000)} s)`;
      stderr.write(`${clearLine}${line.slice(0, Math.max(20, (stderr.columns || 80) - 1))}`);
    } else if (this.#message !== this.#printed) {
      this.#printed = this.#message;
      stderr.write(`${text}\n`);
    }
  }

  #clear(): void {
    if (this.#drawn) stderr.write(clearLine);
    this.#drawn = false;
  }
}

/** One line for the person at the terminal. */
export function say(line: string): void {
  stderr.write(`${line}\n`);
}

/** One line of result. */
export function print(line: string): void {
  stdout.write(`${line}\n`);
}

/** A secret: typed without echo on a terminal, else the first line of stdin. */
export async function readSecret(prompt: string, signal: AbortSignal): Promise<string> {
  const live = stdin.isTTY === true;
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: stdin, output: silent, terminal: live });
  // In raw mode the terminal does not turn Ctrl-C into a signal: readline does, for us to pass on.
  lines.once('SIGINT', () => process.kill(process.pid, 'SIGINT'));
  try {
    if (live) stderr.write(prompt);
    const answer = live ? lines.question('', { signal }) : firstLine(lines);
    return (await answer).trim();
  } finally {
    lines.close();
    if (live) stderr.write('\n');
  }
}

async function firstLine(lines: AsyncIterable<string>): Promise<string> {
  for await (const line of lines) return line;
  return '';
}
