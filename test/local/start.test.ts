import { execFile } from 'node:child_process';
import { lstatSync } from 'node:fs';
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { type Ended, newHome, type TestHome } from '../support/local-server.ts';
import { pythonClient } from '../support/python-client.ts';

const run = promisify(execFile);

/** A start that went wrong ends with one line for people: no stack trace, and nothing left running. */
async function expectLine({ code, stderr }: Ended, line: RegExp): Promise<void> {
  expect(stderr.trim().split('\n')).toEqual([expect.stringMatching(line)]);
  expect(stderr).not.toMatch(/^\s+at |node:internal|Error:/m);
  expect(code).toBe(1);
}

describe('the first start', () => {
  let home: TestHome;
  let said: string;
  let server: Awaited<ReturnType<TestHome['start']>>;
  beforeAll(async () => {
    home = await newHome();
    server = await home.start();
    await vi.waitFor(() => expect(server.stdout()).toContain('the next start remembers everything'));
    said = server.stdout();
  });
  afterAll(async () => home.remove());

  it('pushes an example, runs it, and shows its output and times', () => {
    expect(said).toMatch(/First start: pushing examples\/hello-world as local\/hello-world/);
    expect(said).toMatch(/"hello world" \(\d+ ms with its cold start, of which it ran \d+ ms\)/);
    expect(server.stderr()).toBe('');
  });

  it('prints lines for Node that work as they are', async () => {
    const folder = join(home.path, 'paste');
    await mkdir(folder);
    // What `npm install replicate` leaves.
    await symlink(resolve(import.meta.dirname, '../../node_modules'), join(folder, 'node_modules'));
    const lines = paragraph('Node (npm install replicate)');
    await writeFile(join(folder, 'paste.mjs'), lines);

    const { stdout } = await run(process.execPath, ['paste.mjs'], { cwd: folder });

    expect(stdout).toBe('hello Node\n');
  });

  it('prints lines for Python that work as they are', async () => {
    const bin = await pythonClient();
    const env = { PATH: `${bin}:${process.env.PATH}` };

    const { stdout } = await run('sh', ['-c', paragraph("Python (pip install 'replicate<2')")], { env });

    expect(stdout).toBe('hello Python\n');
  });

  it('prints lines for curl that work as they are', async () => {
    const { stdout } = await run('sh', ['-c', paragraph('curl')]);

    expect(JSON.parse(stdout)).toMatchObject({ status: 'succeeded', output: 'hello curl' });
  });

  it('keeps its secrets to its owner', async () => {
    for (const name of ['token', 'signing.key']) {
      const { stdout } = await run('ls', ['-l', join(home.path, name)]);
      expect(stdout).toMatch(/^-rw-------/);
    }
    expect((await readFile(join(home.path, 'token'), 'utf8')).trim()).toMatch(/^r8_[a-z2-7]{37}$/);
  });

  it('keeps its state to the one who started it, in a folder that others can enter, too', async () => {
    const names = await readdir(home.path);
    const open = names.filter((name) => (lstatSync(join(home.path, name)).mode & 0o077) !== 0);

    expect(names).toEqual(expect.arrayContaining(['mimeo.db', 'queue.db', 'objects', 'versions', 'token']));
    // Where links go is the tests' own.
    expect(open.filter((name) => name !== 'environments' && name !== 'paste')).toEqual([]);
  });

  it('refuses a second server on the same folder', async () => {
    const second = await home.launch().ended;

    await expectLine(second, new RegExp(`${home.path}/queue.db .*stop the other Mimeo`));
    expect((await server.call('GET', '/account')).status).toBe(200);
  });

  function paragraph(title: string): string {
    const text = said.split('\n\n').find((part) => part.trimStart().startsWith(title));
    if (text === undefined) throw new Error(`No lines for ${title} in:\n${said}`);
    return text.trimStart().split('\n').slice(1).join('\n');
  }
});

describe('the next start', () => {
  it('is ready soon and remembers everything', async () => {
    const home = await newHome();
    onTestFinished(async () => home.remove());
    const first = await home.start();
    const made = await first.json(
      'POST',
      '/predictions',
      { version: 'local/hello-world', input: {} },
      {
        prefer: 'wait',
      },
    );
    expect((await first.stop()).code).toBe(0);

    const second = await home.start();

    console.log(
      `Ready after ${Math.round(second.readyMs)} ms; the first start took ${Math.round(first.readyMs)} ms`,
    );
    expect(second.readyMs).toBeLessThan(5000);
    expect(second.token).toBe(first.token);
    const read = await second.json('GET', `/predictions/${made.id}`);
    expect(read).toMatchObject({
      status: 'succeeded',
      output: 'hello world',
      completed_at: made.completed_at,
    });
    const run = await second.json(
      'POST',
      '/models/local/hello-world/predictions',
      { input: { text: 'you' } },
      {
        prefer: 'wait',
      },
    );
    expect(run.output).toBe('hello you');
    expect(second.stdout()).not.toContain('First start');
    expect(second.stdout()).not.toContain('Taking up');
  });
});

describe('a start that cannot work', () => {
  let home: TestHome;
  afterEach(async () => home.remove());

  it('says that the port is in use, and how to choose another', async () => {
    home = await newHome();
    const other = createServer().listen(0, '127.0.0.1');
    onTestFinished(() => void other.close());
    await new Promise((done) => other.once('listening', done));
    const { port } = other.address() as AddressInfo;

    const ended = await home.launch({ MIMEO_PORT: String(port) }).ended;

    await expectLine(ended, new RegExp(`Port ${port} is in use .*MIMEO_PORT=\\d+ npm start`));
  });

  it('says that there is no Python, and how to get one', async () => {
    home = await newHome();

    const ended = await home.launch({ PATH: '/nonexistent' }).ended;

    await expectLine(ended, /no Python was found on PATH.*apt install python3/);
  });

  it('works once there is a Python, on the folder that was left behind', async () => {
    home = await newHome();
    await home.launch({ PATH: '/nonexistent' }).ended;

    const server = await home.start();

    expect(server.stdout()).toContain('"hello world"');
  });

  it('says that the database is not one, and leaves it alone', async () => {
    home = await newHome();
    const path = join(home.path, 'mimeo.db');
    await writeFile(path, 'something else entirely'.repeat(500));

    await expectLine(await home.launch().ended, new RegExp(path));

    expect(await readFile(path, 'utf8')).toContain('something else entirely');
  });

  it.each(['mimeo.db', 'queue.db', 'token', 'signing.key'])('says that %s cannot be read', async (name) => {
    home = await newHome();
    await mkdir(join(home.path, name));

    await expectLine(await home.launch().ended, new RegExp(join(home.path, name)));
  });

  it('says that the state folder is a file', async () => {
    home = await newHome();
    const path = join(home.path, 'a-file');
    await writeFile(path, '');

    await expectLine(await home.launch({ MIMEO_HOME: path }).ended, new RegExp(`${path} .*MIMEO_HOME`));
  });

  it('names every variable that is wrong', async () => {
    home = await newHome();

    const { code, stderr } = await home.launch({
      MIMEO_PORT: 'eighty',
      MIMEO_MAX_INSTANCES: '0',
      MIMEO_PRICES: '{',
    }).ended;

    expect(stderr.trim().split('\n')).toEqual([
      'mimeo: The environment is not right:',
      expect.stringMatching(/^ {2}MIMEO_PORT="eighty": ./),
      expect.stringMatching(/^ {2}MIMEO_MAX_INSTANCES="0": ./),
      expect.stringMatching(/^ {2}MIMEO_PRICES="\{": ./),
    ]);
    expect(code).toBe(1);
  });
});
