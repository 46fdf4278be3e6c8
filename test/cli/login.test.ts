import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { mimeo, newFolder } from './command.ts';
import { type ContractServer, startServer, token } from './contract-server.ts';
import { modelRoutes, succeeded, textOutput, version } from './model.ts';

/** A server with a model to run, to see which server and token a command takes. */
async function serverWithModel(output: string): Promise<ContractServer> {
  return startServer(modelRoutes(version({}, textOutput), { ...succeeded, output }));
}

test('a login is remembered for its owner only, and later commands use it', async () => {
  const XDG_CONFIG_HOME = await newFolder();
  const server = await serverWithModel('from the remembered server');

  const login = await mimeo(['login', `${server.url}/v1/`], {
    env: { XDG_CONFIG_HOME },
    stdin: `${token}\n`,
  });
  const run = await mimeo(['run', 'ada/echo'], { env: { XDG_CONFIG_HOME } });

  const path = join(XDG_CONFIG_HOME, 'mimeo/config.json');
  expect(login).toEqual({
    code: 0,
    stdout: '',
    stderr: `Logged in to ${server.url} as ada (remembered in ${path}).\n`,
  });
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect(run).toMatchObject({ code: 0, stdout: 'from the remembered server\n' });
});

test.each([
  ['--token', ['--token', token], {}],
  ['MIMEO_API_TOKEN', [], { MIMEO_API_TOKEN: token }],
])('a token may come by %s', async (_name, words, env) => {
  const XDG_CONFIG_HOME = await newFolder();
  const server = await startServer();

  const ended = await mimeo(['login', server.url, ...words], { env: { XDG_CONFIG_HOME, ...env } });

  expect(ended.code).toBe(0);
  const config = JSON.parse(await readFile(join(XDG_CONFIG_HOME, 'mimeo/config.json'), 'utf8'));
  expect(config).toEqual({ current: server.url, servers: { [server.url]: { token, username: 'ada' } } });
});

test('a token that the server does not accept is not remembered', async () => {
  const XDG_CONFIG_HOME = await newFolder();
  const server = await startServer();

  const ended = await mimeo(['login', server.url, '--token', 'r8_wrong'], { env: { XDG_CONFIG_HOME } });

  expect(ended).toMatchObject({ code: 2 });
  expect(ended.stderr).toBe(`mimeo: ${server.url} does not accept this token. Nothing was remembered.\n`);
  await expect(stat(join(XDG_CONFIG_HOME, 'mimeo'))).rejects.toThrow('ENOENT');
});

test('flags win over the environment, and the environment over a login', async () => {
  const XDG_CONFIG_HOME = await newFolder();
  const [remembered, named, flagged] = await Promise.all(['login', 'env', 'flag'].map(serverWithModel));
  if (!remembered || !named || !flagged) throw new Error('three servers');
  await mimeo(['login', remembered.url, '--token', token], { env: { XDG_CONFIG_HOME } });
  const byEnv = { XDG_CONFIG_HOME, MIMEO_URL: named.url, MIMEO_API_TOKEN: token };

  const runs = await Promise.all([
    mimeo(['run', 'ada/echo'], { env: { XDG_CONFIG_HOME } }),
    mimeo(['run', 'ada/echo'], { env: byEnv }),
    mimeo(['run', 'ada/echo', '--url', flagged.url, '--token', token], {
      env: { ...byEnv, MIMEO_API_TOKEN: 'r8_wrong' },
    }),
  ]);

  expect(runs.map(({ stdout }) => stdout)).toEqual(['login\n', 'env\n', 'flag\n']);
});

test('without any of them, the server on this machine is used, with the token that it wrote', async () => {
  const MIMEO_HOME = await newFolder();
  const server = await serverWithModel('from this machine');
  await writeFile(join(MIMEO_HOME, 'token'), `${token}\n`);

  const ended = await mimeo(['run', 'ada/echo'], {
    env: { MIMEO_HOME, MIMEO_PORT: new URL(server.url).port },
  });

  expect(ended).toMatchObject({ code: 0, stdout: 'from this machine\n' });
});

test('a remembered token goes to no other server than its own', async () => {
  const XDG_CONFIG_HOME = await newFolder();
  const server = await startServer();
  await mimeo(['login', server.url, '--token', token], { env: { XDG_CONFIG_HOME } });

  const ended = await mimeo(['run', 'ada/echo', '--url', 'https://elsewhere.example'], {
    env: { XDG_CONFIG_HOME },
  });

  expect(ended).toEqual({
    code: 2,
    stdout: '',
    stderr:
      'mimeo: There is no token for https://elsewhere.example. Log in first: npx mimeo login https://elsewhere.example\n',
  });
});

test('where nothing answers, the message says where it looked and how to start a server', async () => {
  const ended = await mimeo(['run', 'ada/echo'], {
    env: { MIMEO_URL: 'http://127.0.0.1:1', MIMEO_API_TOKEN: token },
  });

  expect(ended).toMatchObject({ code: 2, stdout: '' });
  expect(ended.stderr).toMatch(
    /^mimeo: Nothing answers at http:\/\/127\.0\.0\.1:1 \(.+\)\. Is it running\? Start it with npm start/,
  );
});

test('a token that no longer works leads to a new login', async () => {
  const server = await startServer();

  const ended = await mimeo(['run', 'ada/echo', '--url', server.url, '--token', 'r8_old'], {});

  expect(ended).toMatchObject({ code: 2 });
  expect(ended.stderr).toContain(`Log in again: npx mimeo login ${server.url}`);
});

test('something else than a Mimeo server is told apart', async () => {
  const server = await startServer({
    'GET /account': (_request, response) => void response.writeHead(200).end('<html>'),
  });

  const ended = await mimeo(['login', server.url, '--token', token], {});

  expect(ended).toMatchObject({ code: 2 });
  expect(ended.stderr).toContain('Is the URL that of a Mimeo server?');
});

test.each([
  [['login', 'mimeo.example.com', '--token', 'x'], '"mimeo.example.com" is not a server\'s URL'],
  [['login', 'http://127.0.0.1:1'], 'No token was given'],
  [['login'], "missing required argument 'url'"],
])('%j is refused with one clear line', async (words, message) => {
  const ended = await mimeo(words);

  expect(ended).toMatchObject({ code: 2, stdout: '' });
  expect(ended.stderr).toContain(message);
});

test('a damaged config file is named', async () => {
  const XDG_CONFIG_HOME = await newFolder();
  const path = join(XDG_CONFIG_HOME, 'mimeo/config.json');
  await mkdir(join(XDG_CONFIG_HOME, 'mimeo'));
  await writeFile(path, '{');

  const ended = await mimeo(['run', 'ada/echo'], { env: { XDG_CONFIG_HOME } });

  expect(ended).toMatchObject({
    code: 2,
    stderr: `mimeo: ${path} is damaged. Remove it and log in again: npx mimeo login URL\n`,
  });
});
