import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseDirectorEnv } from '../../services/director/env.ts';
import { peerToken } from '../../services/ports/fleet-protocol/token.ts';

const url = { MIMEO_URL: 'https://mimeo.example.com' };

describe("the director's environment", () => {
  it.each([
    ['a token', { MIMEO_DIRECTOR_TOKEN: 'secret' }],
    ['the file of one', { MIMEO_DIRECTOR_TOKEN_FILE: '/var/run/secrets/mimeo/token' }],
  ])('takes %s', (_, given) => {
    expect(parseDirectorEnv({ ...url, ...given })).toMatchObject(given);
  });

  it('takes one of them, and shows no secret', () => {
    const both = { MIMEO_DIRECTOR_TOKEN: 'secret', MIMEO_DIRECTOR_TOKEN_FILE: '/token' };

    expect(() => parseDirectorEnv({ ...url, ...both })).toThrow(/MIMEO_DIRECTOR_TOKEN: is set, and so is/);
    expect(() => parseDirectorEnv({ ...url, ...both })).not.toThrow(/secret/);
    expect(() => parseDirectorEnv(url)).toThrow('MIMEO_DIRECTOR_TOKEN is missing');
  });
});

describe('in a cluster', () => {
  const token = { MIMEO_DIRECTOR_TOKEN: 'secret' };
  const machines = { cpu: { cpuMillis: 3500, memoryMib: 13_000, ephemeralMib: 20_000, gpus: 0 } };
  const cluster = {
    ...url,
    ...token,
    MIMEO_FLEET: 'kubernetes',
    MIMEO_RUNNER_IMAGE: 'registry.example.com/runner@sha256:0',
    MIMEO_MACHINES: JSON.stringify(machines),
  };

  it('it is told of runners and machines', () => {
    expect(parseDirectorEnv(cluster)).toMatchObject({ MIMEO_FLEET: 'kubernetes', MIMEO_MACHINES: machines });
    expect(parseDirectorEnv({ ...url, ...token }).MIMEO_FLEET).toBe('processes');
  });

  it.each([
    [
      { MIMEO_RUNNER_IMAGE: undefined, MIMEO_MACHINES: undefined },
      /RUNNER_IMAGE is missing\n.*MACHINES is missing/,
    ],
    [{ MIMEO_FLEET: 'processes' }, /RUNNER_IMAGE: is for MIMEO_FLEET=kubernetes only\n.*MACHINES: is for/],
    [{ MIMEO_MACHINES: '{' }, /MIMEO_MACHINES: is not JSON/],
    [{ MIMEO_MACHINES: '{"cpu":{"cpuMillis":1}}' }, /MIMEO_MACHINES: is not right at cpu\.cpuMillis/],
    [{ MIMEO_FLEET: 'swarm' }, /MIMEO_FLEET/],
  ])('%o is one clear error', (changes, message) => {
    expect(() => parseDirectorEnv({ ...cluster, ...changes })).toThrow(message);
  });
});

describe('a token in a file', () => {
  let folder: string;
  let file: string;
  let now: number;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mimeo-token-'));
    file = join(folder, 'token');
    now = 0;
  });
  afterEach(async () => rm(folder, { recursive: true }));

  async function current(): Promise<string> {
    return typeof token === 'function' ? await token() : token;
  }
  let token: ReturnType<typeof peerToken>;

  it('is read again after a minute', async () => {
    await writeFile(file, 'first\n');
    token = peerToken({ token: undefined, file }, () => now);
    expect(await current()).toBe('first');

    await writeFile(file, 'second\n');
    now = 59_999;
    expect(await current()).toBe('first');
    now = 60_000;
    expect(await current()).toBe('second');
  });

  it('is waited for where it is not there yet', async () => {
    token = peerToken({ token: undefined, file }, () => now);
    await expect(current()).rejects.toMatchObject({ code: 'unavailable' });
    await writeFile(file, '');
    await expect(current()).rejects.toThrow('is empty');

    await writeFile(file, 'late');
    expect(await current()).toBe('late');
  });
});
