import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startModelProcess } from '../../services/ports/fleet/model-process.ts';
import { scriptedModel } from '../runner/scripted-model.ts';
import { openApi, schemaWith, type TestApi } from '../support/api.ts';
import { mimeo, start } from './command.ts';

interface Platform {
  readonly test: TestApi;
  /** Names it for the command line, as its owner. */
  readonly env: Readonly<Record<string, string>>;
  readonly version: string;
}

/** A platform with a model of account `local`, and nobody who runs it. */
async function startPlatform(): Promise<Platform> {
  const test = await openApi(undefined, { now: Date.now });
  onTestFinished(test.close);
  const { id: version } = await test.addModel(
    { name: 'scripted' },
    { openapiSchema: schemaWith({ script: { type: 'string' } }) },
  );
  const server = createAdaptorServer({ fetch: test.api.fetch }) as Server;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { test, env: { MIMEO_URL: url, MIMEO_API_TOKEN: test.token }, version };
}

async function startCog(): Promise<string> {
  const cog = await startModelProcess(await scriptedModel(), 1);
  onTestFinished(() => cog.stop(0));
  return `http://127.0.0.1:${cog.port}`;
}

describe('mimeo runner', () => {
  it('runs predictions on this machine until Ctrl-C, and gives back what has not ended', async () => {
    const { test, env } = await startPlatform();
    const running = start(['runner', 'local/scripted', '--cog', await startCog(), '--grace', '0'], { env });
    onTestFinished(() => void running.child.kill('SIGKILL'));
    const create = async (script: string, headers = {}) =>
      (
        await test.call('POST', '/v1/models/local/scripted/predictions', { input: { script } }, headers)
      ).json();

    expect(await create('say:hello', { prefer: 'wait=30' })).toMatchObject({
      status: 'succeeded',
      error: null,
    });
    expect(running.soFar.stderr).toContain('This machine takes predictions of local/scripted');

    const { id } = (await create('wait:never')) as { id: string };
    const statusOf = async () =>
      ((await (await test.call('GET', `/v1/predictions/${id}`)).json()) as { status: string }).status;
    await expect.poll(statusOf).toBe('processing');
    running.child.kill('SIGINT');

    expect((await running.ended).code).toBe(130);
    await expect.poll(statusOf).toBe('starting');
  });

  it('ends with what is wrong where the model cannot be used any more', async () => {
    const { test, env } = await startPlatform();
    const cog = await startModelProcess(await scriptedModel(), 1);
    const running = start(['runner', 'local/scripted', '--cog', `http://127.0.0.1:${cog.port}`], { env });
    await expect.poll(() => running.soFar.stderr).toContain('Ready after');
    await cog.stop(0);
    // The server's end shows with the next prediction.
    await test.call('POST', '/v1/models/local/scripted/predictions', { input: { script: 'say:x' } });

    const { code, stderr } = await running.ended;
    expect(code).toBe(1);
    expect(stderr).toContain("The model's server cannot be used any more");
  });

  it('says how to start the model where no server answers', async () => {
    const { env } = await startPlatform();

    const { code, stderr } = await mimeo(['runner', 'local/scripted', '--cog', 'http://127.0.0.1:9'], {
      env,
    });

    expect(code).toBe(2);
    expect(stderr).toContain('No Cog server answers at http://127.0.0.1:9. Start it (');
  });

  it.each([
    ['https://cog.example.com', '--cog takes a server on this machine'],
    ['ftp://127.0.0.1', '--cog takes a server on this machine'],
  ])('does not send inputs to %s', async (cog, message) => {
    const { stderr } = await mimeo(['runner', 'local/scripted', '--cog', cog]);

    expect(stderr).toContain(message);
  });
});

describe('a token for a runner', () => {
  it('is for the model’s owner only, even where the model is public', async () => {
    const { test, version } = await startPlatform();
    const other = await test.addAccount('bea');
    await test.addModel({ name: 'open', visibility: 'public' });
    const ask = async (name: string, token?: string) =>
      test.call('POST', `/v1/models/local/${name}/versions/${version}/runner-token`, undefined, {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      });

    expect((await ask('scripted')).status).toBe(200);
    expect((await ask('scripted', other)).status).toBe(404);
    expect((await ask('open', other)).status).toBe(404);
    expect((await ask('scripted', 'wrong')).status).toBe(401);
  });

  it('takes jobs of its pool only, and not for long', async () => {
    const { test, version } = await startPlatform();
    const path = `/v1/models/local/scripted/versions/${version}/runner-token`;
    const answer = await test.call('POST', path);
    const { token, expires_at } = (await answer.json()) as { token: string; expires_at: string };

    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(test.api.fleetTokens.verify(token)).toEqual({
      role: 'runner',
      pool: `local/scripted:${version}@cpu`,
    });
    expect(Date.parse(expires_at)).toBeLessThanOrEqual(Date.now() + 300_000);
  });
});
