import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LocalServer, newHome, type TestHome } from '../support/local-server.ts';

const root = join(import.meta.dirname, '../..');
/** Seconds that an example may take the first time that it runs. */
const wait = { prefer: 'wait=60' };

let home: TestHome;
let server: LocalServer;
beforeAll(async () => {
  home = await newHome();
  server = await home.start({ MIMEO_MAX_INSTANCES: '2', MIMEO_IDLE_SECONDS: '2' });
});
afterAll(async () => home.remove());

/** Runs an example to its end, and gives what it put out. */
async function run(name: string, input: object) {
  const prediction = await server.json('POST', '/predictions', { version: `local/${name}`, input }, wait);
  expect(prediction).toMatchObject({ status: 'succeeded', error: null });
  return prediction;
}

/** What a file output leads to, whether it is a data URL or one that is to be fetched. */
async function fetchFile(url: string): Promise<{ readonly type: string; readonly bytes: Buffer }> {
  const response = await fetch(url);
  expect(response.status).toBe(200);
  return {
    type: response.headers.get('content-type') ?? '',
    bytes: Buffer.from(await response.arrayBuffer()),
  };
}

/** Width and height of a PNG, from its first chunk: https://www.w3.org/TR/png-3/#11IHDR */
function pngSize(bytes: Buffer): readonly [number, number] {
  expect(bytes.subarray(1, 4).toString()).toBe('PNG');
  return [bytes.readUInt32BE(16), bytes.readUInt32BE(20)];
}

describe('image and resize', () => {
  it('draw a PNG from a prompt, always the same one, and make it smaller', async () => {
    await server.push('examples/image');
    const input = { prompt: 'a red fox', width: 300, height: 200 };
    const first = await run('image', input);
    const again = await run('image', input);
    const other = await run('image', { ...input, prompt: 'a grey wolf' });

    const drawn = await fetchFile(first.output);
    expect(drawn.type).toBe('image/png');
    expect(pngSize(drawn.bytes)).toEqual([300, 200]);
    expect(first.logs).toContain('drew 24 shapes on 300x200');
    expect((await fetchFile(again.output)).bytes.equals(drawn.bytes)).toBe(true);
    expect((await fetchFile(other.output)).bytes.equals(drawn.bytes)).toBe(false);

    await server.push('examples/resize');
    const image = `data:image/png;base64,${drawn.bytes.toString('base64')}`;
    const small = await run('resize', { image, width: 60, height: 60 });
    expect(pngSize((await fetchFile(small.output)).bytes)).toEqual([60, 40]);
    const jpeg = await run('resize', { image, width: 60, height: 60, format: 'jpeg' });
    expect((await fetchFile(jpeg.output)).bytes.subarray(0, 2).toString('hex')).toBe('ffd8');
    expect(jpeg.logs).toContain('300x200 -> 60x40');
  }, 180_000);
});

describe('classify', () => {
  it('tells which of its labels a message has, as an object', async () => {
    await server.push('examples/classify');
    const texts = {
      billing: 'My card was charged twice, please refund me!',
      bug: 'The app crashes with an error after the update',
      praise: 'Thank you, I love it',
    };
    for (const [label, text] of Object.entries(texts)) {
      const { output } = await run('classify', { text });
      expect(output.label, text).toBe(label);
      expect(output.scores).toHaveLength(3);
      const sum = output.scores.reduce(
        (total: number, score: { probability: number }) => total + score.probability,
        0,
      );
      expect(sum).toBeCloseTo(1, 2);
    }
    const { output } = await run('classify', { text: 'zzz' });
    expect(output.known_words).toEqual([]);
  });
});

describe('concurrent', () => {
  it('runs predictions in one instance while others wait', async () => {
    await server.push('examples/concurrent');
    await run('concurrent', { seconds: 0 });
    const startedAt = performance.now();
    const all = await Promise.all(
      Array.from({ length: 6 }, async (_, index) =>
        run('concurrent', { text: `answer ${index}`, seconds: 1.5 }),
      ),
    );

    // One after the other they would take nine seconds.
    expect(performance.now() - startedAt).toBeLessThan(8000);
    expect(all.map(({ output }) => output.answer)).toEqual(all.map((_, index) => `answer ${index}`));
    expect(Math.max(...all.map(({ output }) => output.together))).toBeGreaterThan(1);
  });
});

describe('embed', () => {
  it('puts what means the same near each other, with weights out of a package', async () => {
    await server.push('examples/embed');
    const texts = [
      'The cat sleeps on the sofa',
      'A kitten is napping on the couch',
      'Stock markets fell sharply',
    ];
    const { output, logs } = await run('embed', { texts });

    expect(output.dimensions).toBe(256);
    expect(output.embeddings.map((one: number[]) => one.length)).toEqual([256, 256, 256]);
    for (const one of output.embeddings as number[][]) expect(Math.hypot(...one)).toBeCloseTo(1, 3);
    const [first] = output.similarities;
    expect(first[0]).toBeCloseTo(1, 3);
    expect(first[1]).toBeGreaterThan(first[2] + 0.2);
    expect(logs).not.toMatch(/download/i);

    const short = await run('embed', { texts: texts.slice(0, 1), dimensions: 64 });
    expect(short.output.embeddings[0]).toHaveLength(64);
  }, 180_000);
});

describe('every example', () => {
  it.each(['hello-world', 'stream', 'image', 'resize', 'classify', 'concurrent', 'embed'])(
    '%s says how it is pushed and run',
    async (name) => {
      const readme = await readFile(join(root, 'examples', name, 'README.md'), 'utf8');
      expect(readme).toContain('npx mimeo push');
      expect(readme.split('\n').length).toBeLessThan(15);
    },
  );
});
