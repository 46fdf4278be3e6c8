import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { type Ended, mimeo, newFolder, start } from './command.ts';

const root = resolve(import.meta.dirname, '../..');
const stream = join(root, 'examples/stream');
/** Said at one word a second. A model hears of a cancel between two words, not while it sleeps. */
const minuteOfWords = Array(60).fill('word').join(' ');

let home: string;
let platform: ReturnType<typeof spawn>;
let env: Record<string, string>;

// The whole platform as `npm start` runs it, on a folder and a port of its own.
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'mimeo-home-'));
  const child = spawn(process.execPath, [join(root, 'services/local/main.ts')], {
    cwd: root,
    env: { ...process.env, MIMEO_HOME: home, MIMEO_PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  platform = child;
  for await (const line of createInterface({ input: child.stdout })) {
    const port = /ready on http:\/\/127\.0\.0\.1:(\d+)/.exec(line)?.[1];
    if (port) {
      env = { MIMEO_HOME: home, MIMEO_PORT: port };
      child.stdout.resume();
      return;
    }
  }
  throw new Error('The platform ended before it was ready');
});

afterAll(async () => {
  if (platform.exitCode === null) {
    platform.kill('SIGTERM');
    await once(platform, 'exit');
  }
  await rm(home, { recursive: true, force: true });
});

test('the example that the first start pushed runs by its name, without a login', async () => {
  const ended = await mimeo(['run', 'local/hello-world', 'text=Ada'], { env });

  expect(ended).toMatchObject({ code: 0, stdout: 'hello Ada\n' });
  expect(ended.stderr).toMatch(/succeeded; ran [\d.]+ m?s; \$0\.\d+ \(cpu\); prediction [a-z2-7]{26}\n$/);
});

test('a login to it is remembered', async () => {
  const token = await readFile(join(home, 'token'), 'utf8');
  const settings = { XDG_CONFIG_HOME: await newFolder() };

  const login = await mimeo(['login', `http://127.0.0.1:${env.MIMEO_PORT}`], { env: settings, stdin: token });
  const run = await mimeo(['run', 'local/hello-world', '--json'], { env: settings });

  expect(login).toMatchObject({ code: 0 });
  expect(login.stderr).toContain(' as local ');
  expect(JSON.parse(run.stdout)).toMatchObject({ status: 'succeeded', output: 'hello world' });
});

test('a folder is made, pushed twice and run as the push says', async () => {
  const cwd = await newFolder();
  await mimeo(['init', 'parrot'], { cwd });

  const pushed = await mimeo(['push', 'parrot', 'local/parrot', '--json'], { cwd, env });
  const again = await mimeo(['push', 'parrot', 'local/parrot'], { cwd, env });
  const { id } = JSON.parse(pushed.stdout);
  const run = await mimeo(['run', `local/parrot:${id}`, 'text=Hello', 'times=2'], { env });
  const wrong = await mimeo(['run', 'local/parrot', 'text=Hello', 'times=11'], { env });

  expect(pushed.stderr).toContain(`New version: local/parrot:${id}\n`);
  expect(again).toMatchObject({ code: 0, stdout: '' });
  expect(again.stderr).toContain(`This version was there already: local/parrot:${id}\n`);
  expect(again.stderr).toContain('npx mimeo run local/parrot text="Hello"\n');
  expect(run).toMatchObject({ code: 0, stdout: 'You said: Hello Hello\n' });
  expect(wrong).toMatchObject({ code: 2, stdout: '' });
  expect(wrong.stderr).toContain('times');
});

test('tokens arrive one by one, and Ctrl-C stops the model', async () => {
  await pushed(stream, 'local/stream');
  const whole = await mimeo(['run', 'local/stream', 'prompt=one two three', 'delay=0'], { env });

  const running = start(['run', 'local/stream', `prompt=${minuteOfWords}`, 'delay=1'], { env });
  await vi.waitFor(() => expect(running.soFar.stdout).toMatch(/^word/), 30_000);
  running.child.kill('SIGINT');
  const stopped = await running.ended;

  expect(whole).toMatchObject({ code: 0, stdout: 'one two three\n' });
  expect(whole.stderr).toContain('saying 3 words\n');
  expect(stopped.code).toBe(130);
  expect(stopped.stdout).toMatch(/^word( word){0,50}\n$/);
  expect(stopped.stderr).toContain('canceled; ');
});

test('--cancel-after ends a prediction that takes too long, and says so', async () => {
  await pushed(stream, 'local/stream');

  const words = ['run', 'local/stream', `prompt=${minuteOfWords}`, 'delay=1', '--cancel-after', '8s'];
  const ended = await mimeo(words, { env });

  expect(ended.code).toBe(1);
  expect(ended.stderr).toContain(
    'mimeo: The prediction was canceled (deadline_exceeded): its Cancel-After time had passed.\n',
  );
});

test('what runs, what it printed and whether the machine is well can be asked for', async () => {
  await pushed(stream, 'local/stream');
  const run = await mimeo(['run', 'local/stream', 'prompt=one two', 'delay=0', '--json'], { env });
  const { id } = JSON.parse(run.stdout);

  const [ps, logs, setup, stopped, doctor] = await Promise.all([
    mimeo(['ps'], { env }),
    mimeo(['logs', id, '--follow'], { env }),
    mimeo(['logs', 'local/stream', '--setup'], { env }),
    mimeo(['rm', id], { env }),
    mimeo(['doctor', '--json'], { env: { ...env, PIP_INDEX_URL: 'http://127.0.0.1:1/simple' } }),
  ]);

  expect(ps).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^local\/stream:[0-9a-f]{12} {2}cpu$/m),
  });
  expect(ps.stdout).toMatch(/^ {2}why: nothing waits/m);
  expect(logs).toMatchObject({ code: 0, stdout: 'saying 2 words\n' });
  expect(setup.code).toBe(0);
  expect(stopped.stderr).toContain('It had ended already: succeeded');
  expect(JSON.parse(doctor.stdout)).toMatchObject({ ok: true });
  expect(doctor.stdout).toContain('is held by a running Mimeo');
});

async function pushed(folder: string, model: string): Promise<Ended> {
  const ended = await mimeo(['push', folder, model], { env });
  expect(ended).toMatchObject({ code: 0 });
  return ended;
}
