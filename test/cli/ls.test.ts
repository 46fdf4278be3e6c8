import { expect, test } from 'vitest';
import { envOf, mimeo } from './command.ts';
import { answer, startServer } from './contract-server.ts';

const version = {
  id: 'abcdef0123456789'.repeat(4),
  created_at: '2026-11-21T10:00:00.000000Z',
  cog_version: '0.23.1',
};
const chat = { owner: 'local', name: 'chat', visibility: 'private', run_count: 12, latest_version: version };
const empty = {
  owner: 'local',
  name: 'a-longer-name',
  visibility: 'private',
  run_count: 1,
  latest_version: null,
};
const hello = {
  owner: 'local',
  name: 'hello-world',
  visibility: 'public',
  run_count: 0,
  latest_version: version,
};

function page(results: readonly object[], next: string | null = null) {
  return { next, previous: null, results };
}

test('lists private models before public ones, page by page', async () => {
  const server = await startServer({
    'GET /models?visibility=private': (_request, response) =>
      answer(
        response,
        200,
        page([chat], 'https://elsewhere.example/v1/models?visibility=private&cursor=a%2Fb'),
      ),
    'GET /models?visibility=private&cursor=a%2Fb': (_request, response) =>
      answer(response, 200, page([empty])),
    'GET /models': (_request, response) => answer(response, 200, page([hello])),
  });

  const plain = await mimeo(['ls'], { env: envOf(server) });
  const json = await mimeo(['ls', '--json'], { env: envOf(server) });

  expect(plain.stdout).toBe(
    [
      'local/chat           private  12 runs  abcdef012345',
      'local/a-longer-name  private  1 run    no version yet',
      'local/hello-world    public   0 runs   abcdef012345',
      '',
    ].join('\n'),
  );
  expect(JSON.parse(json.stdout)).toEqual([chat, empty, hello]);
});

test('lists the versions of a model, or says how to make one', async () => {
  const server = await startServer({
    'GET /models/local/chat/versions': (_request, response) => answer(response, 200, page([version])),
    'GET /models/local/new/versions': (_request, response) => answer(response, 200, page([])),
  });

  const plain = await mimeo(['ls', 'local/chat'], { env: envOf(server) });
  const json = await mimeo(['ls', 'local/chat', '--json'], { env: envOf(server) });
  const none = await mimeo(['ls', 'local/new'], { env: envOf(server) });

  expect(plain.stdout).toBe(`${version.id}  2026-11-21T10:00:00Z  Cog 0.23.1\n`);
  expect(JSON.parse(json.stdout)).toEqual([version]);
  expect(none.stdout).toContain('npx mimeo push DIR local/new');
});

test('says of a version what it breaks', async () => {
  const breaking = { ...version, breaking_changes: ['input `seed` is gone'] };
  const server = await startServer({
    'GET /models/local/chat/versions': (_request, response) => answer(response, 200, page([breaking])),
  });

  const { stdout } = await mimeo(['ls', 'local/chat'], { env: envOf(server) });

  expect(stdout.split('\n')[1]).toBe('  breaks callers: input `seed` is gone');
});

test('says what is no name of a model', async () => {
  const ended = await mimeo(['ls', 'chat'], { env: envOf(await startServer()) });

  expect(ended.code).toBe(2);
  expect(ended.stderr).toContain('OWNER/NAME');
});
