import { chmod, link, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { diagnose, type Probed } from '../../services/cli/doctor/checks.ts';
import { measureFolder } from '../../services/cli/doctor/disk-use.ts';
import { openSqliteQueue } from '../../services/ports/queue/sqlite.ts';
import { mimeo, newFolder, type Surroundings } from './command.ts';
import { answer, problem, startServer, token } from './contract-server.ts';

const well: Probed = {
  node: { version: '24.1.0', path: '/node' },
  python: { path: '/usr/bin/python3', version: '3.12.1', hasVenv: true },
  uv: '0.9.0',
  disk: { home: '/home/ada/.mimeo', freeBytes: 100 * 1024 ** 3 },
  home: { path: '/home/ada/.mimeo', nearest: '/home/ada/.mimeo', exists: true, writable: true },
  databases: [{ path: '/home/ada/.mimeo/mimeo.db', state: 'intact' }],
  port: { port: 8080, state: 'free' },
  gpu: { state: 'there', gpus: [{ name: 'NVIDIA T4', memory: '15360 MiB', driver: '550.1' }] },
  server: { url: 'https://mimeo.example.com', isLoopback: false, state: 'ok', message: 'ada' },
  index: { url: 'https://pypi.org/simple/', problem: null },
};

describe('what is found', () => {
  test('of a machine that has everything is all ok, with versions', () => {
    const findings = diagnose(well);

    expect(findings.filter(({ level, mend }) => level !== 'ok' || mend)).toEqual([]);
    const text = findings.map(({ found }) => found).join('\n');
    for (const part of ['24.1.0', '3.12.1', '0.9.0', '100.0 GiB', 'NVIDIA T4, 15360 MiB, driver 550.1']) {
      expect(text).toContain(part);
    }
  });

  test('of the disk tells what takes room, the largest first', () => {
    const used = [
      { name: 'databases', bytes: 1000 },
      { name: 'objects', bytes: 80 * 1024 ** 2 },
      { name: 'environments', bytes: 1.5 * 1024 ** 3 },
    ];
    const disk = { ...well.disk, used };
    const found = (probed: Probed) => diagnose(probed).find(({ name }) => name === 'disk')?.found;

    expect(found({ ...well, disk })).toBe(
      '100.0 GiB free at /home/ada/.mimeo, 1.6 GiB used (environments 1.5 GiB, objects 80 MiB)',
    );
    expect(found({ ...well, disk: { ...disk, usedMore: true } })).toContain('more than 1.6 GiB used');
  });

  test('of a folder counts a file with two names once, and nothing behind a link', async () => {
    const folder = await newFolder();
    const elsewhere = await newFolder();
    await writeFile(join(elsewhere, 'large'), Buffer.alloc(8_000_000, 1));
    await mkdir(join(folder, 'versions', 'a'), { recursive: true });
    await writeFile(join(folder, 'versions', 'a', 'one'), Buffer.alloc(2_000_000, 1));
    await link(join(folder, 'versions', 'a', 'one'), join(folder, 'versions', 'two'));
    await symlink(elsewhere, join(folder, 'environments'));
    await writeFile(join(folder, 'mimeo.db'), Buffer.alloc(1_000_000, 1));

    const { used, usedMore } = await measureFolder(folder);

    const megabytes = used.map(({ name, bytes }) => [name, Math.round(bytes / 1e6)]);
    expect(megabytes).toEqual([
      ['databases', 1],
      ['versions', 2],
    ]);
    expect(usedMore).toBe(false);
  });

  test.each<[string, Partial<Probed>, 'warn' | 'fail', string, string]>([
    ['an old Node', { node: { version: '20.9.0', path: '/n' } }, 'fail', 'Node', 'npm install'],
    ['Node just too old', { node: { version: '22.17.1', path: '/n' } }, 'fail', 'Node', 'npm install'],
    ['no Python', { python: { problem: 'no Python on PATH' } }, 'fail', 'Python', 'apt install python3'],
    [
      'a Python that makes no environments, and no uv',
      { python: { path: '/p', version: '3.11.2', hasVenv: false }, uv: null },
      'fail',
      'Python',
      'sudo apt install python3-venv',
    ],
    ['little disk', { disk: { home: '/h', freeBytes: 2e9 } }, 'warn', 'disk', 'du -sh /h/*'],
    ['no disk', { disk: { home: '/my home', freeBytes: 1e8 } }, 'fail', 'disk', "du -sh '/my home'/*"],
    [
      'a folder of another user',
      { home: { path: '/srv/m', nearest: '/srv/m', exists: true, writable: false } },
      'fail',
      'state folder',
      'sudo chown -R "$(id -un)" /srv/m',
    ],
    [
      'a folder that cannot be made',
      { home: { path: '/srv/m', nearest: '/srv', exists: false, writable: false } },
      'fail',
      'state folder',
      'MIMEO_HOME=',
    ],
    [
      'a damaged database',
      { databases: [{ path: '/m/mimeo.db', state: 'damaged', message: 'malformed' }] },
      'fail',
      'database',
      'for f in /m/mimeo.db*; do mv',
    ],
    ['a foreign port', { port: { port: 8080, state: 'other' } }, 'fail', 'port', 'MIMEO_PORT=8081 npm start'],
    ['a low port', { port: { port: 80, state: 'refused' } }, 'fail', 'port', 'MIMEO_PORT=8080 npm start'],
    ['a broken driver', { gpu: { state: 'broken', message: 'mismatch' } }, 'warn', 'GPU', 'nvidia-smi'],
    [
      'a token that was revoked',
      { server: { url: 'https://m.io', isLoopback: false, state: 'refused', message: 'not valid' } },
      'fail',
      'login',
      'npx mimeo login https://m.io',
    ],
    [
      'a server that is away',
      { server: { url: 'https://m.io', isLoopback: false, state: 'unreachable', message: 'ENOTFOUND' } },
      'fail',
      'login',
      'curl -sS https://m.io/healthz',
    ],
    [
      'the server of this machine, stopped',
      { server: { url: 'http://localhost:1', isLoopback: true, state: 'unreachable', message: 'x' } },
      'warn',
      'login',
      'npm start',
    ],
    ['no packages', { index: { url: 'https://i/', problem: 'ENOTFOUND' } }, 'warn', 'packages', 'curl -sSI'],
  ])('%s is told, with a mend', (_what, different, level, name, mend) => {
    const found = diagnose({ ...well, ...different }).filter((finding) => finding.level !== 'ok');

    expect(found).toEqual([expect.objectContaining({ level, name, mend: expect.stringContaining(mend) })]);
  });

  test.each<[string, Partial<Probed>]>([
    ['no uv', { uv: null }],
    ['no venv where there is uv', { python: { path: '/p', version: '3.11.2', hasVenv: false } }],
    ['no GPU', { gpu: { state: 'none' } }],
    ['no login', { server: null }],
    ['a running server', { port: { port: 8080, state: 'mimeo' } }],
    ['a database in use', { databases: [{ path: '/q', state: 'in-use' }] }],
    ['a first start', { databases: [{ path: '/q', state: 'absent' }] }],
  ])('%s is no fault', (_what, different) => {
    expect(diagnose({ ...well, ...different }).filter(({ level }) => level !== 'ok')).toEqual([]);
  });
});

/** Nothing of these tests leaves the machine: the index of packages is a port where nobody listens. */
async function doctor(env: Record<string, string>, surroundings: Surroundings = {}) {
  const ended = await mimeo(['doctor', '--json'], {
    ...surroundings,
    env: { MIMEO_PORT: '0', PIP_INDEX_URL: 'http://ada:secret@127.0.0.1:1/simple', ...env },
  });
  const { ok, checks } = JSON.parse(ended.stdout);
  const of = (name: string) => checks.filter((check: { name: string }) => check.name === name);
  return { ended, ok, of };
}

test('an empty folder is well, an index that is away is a warning, and its password is not shown', async () => {
  const { ended, ok, of } = await doctor({ MIMEO_HOME: join(await newFolder(), 'home') });

  expect(ended.code).toBe(0);
  expect(ok).toBe(true);
  expect(of('Node')[0].found).toContain(process.versions.node);
  expect(of('packages')[0]).toMatchObject({ level: 'warn' });
  expect(ended.stdout).not.toContain('secret');
});

test('what fails is told in words, and the exit code says so', async () => {
  const home = await newFolder();
  await writeFile(join(home, 'mimeo.db'), 'this is no database, and long enough to have a header'.repeat(20));
  const before = await readFile(join(home, 'mimeo.db'));

  const env = { MIMEO_HOME: home, MIMEO_PORT: '0', PIP_INDEX_URL: 'http://127.0.0.1:1/simple' };
  const ended = await mimeo(['doctor'], { env });

  expect(ended.code).toBe(1);
  expect(ended.stdout).toMatch(/^fail {2}database.*mimeo\.db: file is not a database\n +→ for f in /m);
  expect(await readFile(join(home, 'mimeo.db'))).toEqual(before);
});

test('a queue that another process holds is in use', async () => {
  const home = await newFolder();
  const queue = openSqliteQueue({ path: join(home, 'queue.db') });
  onTestFinished(() => queue.close());

  const { ok, of } = await doctor({ MIMEO_HOME: home });

  expect(ok).toBe(true);
  expect(of('database')[1].found).toContain('is held by a running Mimeo');
});

test('a port is told apart: of Mimeo, or of another program', async () => {
  const running = await startServer();
  running.on({ 'GET /healthz': (_request, response) => answer(response, 200, { status: 'ok' }) });
  const other = createServer((socket) => socket.end('SSH-2.0-nothing\r\n'));
  await new Promise<void>((done) => other.listen(0, '127.0.0.1', done));
  onTestFinished(() => void other.close());

  const ours = await doctor({ MIMEO_PORT: new URL(running.url).port });
  const theirs = await doctor({ MIMEO_PORT: String((other.address() as { port: number }).port) });

  expect(ours.of('port')[0]).toMatchObject({ level: 'ok' });
  expect(theirs.of('port')[0]).toMatchObject({ level: 'fail', mend: expect.stringContaining('MIMEO_PORT=') });
  expect(theirs.ended.code).toBe(1);
});

test('the remembered login is tried, with its token', async () => {
  const server = await startServer();
  const config = await newFolder();
  await mkdir(join(config, 'mimeo'));
  const remembered = { current: server.url, servers: { [server.url]: { token, username: 'ada' } } };
  await writeFile(join(config, 'mimeo', 'config.json'), JSON.stringify(remembered));
  const valid = await doctor({ XDG_CONFIG_HOME: config });
  server.on({
    'GET /account': (_request, response) => problem(response, 401, 'unauthenticated', 'Revoked.'),
  });
  const refused = await doctor({ XDG_CONFIG_HOME: config });

  expect(valid.of('login')[0]).toMatchObject({ level: 'ok', found: `${server.url} as ada` });
  expect(refused.of('login')[0]).toMatchObject({ level: 'fail', mend: `npx mimeo login ${server.url}` });
  expect(refused.ended.stdout).not.toContain(token);
});

test('a GPU is named with its memory and driver; a driver that fails is a warning', async () => {
  const tools = await newFolder();
  const tool = join(tools, 'nvidia-smi');
  const PATH = `${tools}:${process.env.PATH}`;
  await writeFile(tool, '#!/bin/sh\necho "NVIDIA H200, 143771 MiB, 570.86"\n');
  await chmod(tool, 0o755);
  const there = await doctor({ PATH });
  await writeFile(
    tool,
    '#!/bin/sh\necho "Failed to initialize NVML: Driver/library version mismatch"; exit 18\n',
  );
  const broken = await doctor({ PATH });

  expect(there.of('GPU')[0].found).toBe('NVIDIA H200, 143771 MiB, driver 570.86');
  expect(broken.of('GPU')[0]).toMatchObject({ level: 'warn', found: expect.stringContaining('mismatch') });
});
