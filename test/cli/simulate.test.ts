import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { exitCodes } from '../../services/cli/failure.ts';
import { comparisonSchema } from '../../services/simulator/compare.ts';
import { mimeo } from './command.ts';

const small = ['simulate', '--config', 'prod', '--synthetic', 'bursty:hours=6,seed=5'];

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'mimeo-simulate-'));
  onTestFinished(() => rm(path, { recursive: true }));
  return path;
}

describe('mimeo simulate', () => {
  test('prints what users feel, what it costs, and how it does against the baselines', async () => {
    const { code, stdout } = await mimeo(small);

    expect(code).toBe(0);
    expect(stdout).toContain('bursty, seed 5');
    expect(stdout).toContain('gpu-t4, 0 to 6 × g4dn.xlarge at $0.526 an hour');
    for (const name of ['mimeo', 'always-on-peak', 'always-on-least', 'keda-queue', 'knative-kpa']) {
      expect(stdout).toMatch(new RegExp(`^${name} .*\\$`, 'm'));
    }
    expect(stdout).toMatch(/^[✓✗] mimeo against knative-kpa: \d+ % of its cost/m);
    expect(stdout).toMatch(/^ETA of /m);
  });

  test('--json has its schema, its sources, and the same bytes each time', async () => {
    const first = await mimeo([...small, '--json']);
    const second = await mimeo([...small, '--json']);

    const answer = JSON.parse(first.stdout) as unknown;
    const { setting, ...comparison } = z.looseObject({ setting: z.looseObject({}) }).parse(answer);
    expect(() => z.strictObject(comparisonSchema.shape).parse(comparison)).not.toThrow();
    expect(setting).toMatchObject({
      environment: 'prod',
      tier: { sku: 'gpu-t4', usdPerHour: 0.526, source: expect.stringContaining('karpenter') },
      sources: expect.arrayContaining([expect.stringContaining('karpenter-blueprints')]),
      policy: { max: 6, idleSeconds: 60 },
    });
    expect(second.stdout).toBe(first.stdout);
  });

  test('--match chooses settings by other seeds', async () => {
    const spec = 'rare:hours=12,rate=4,seed=held-out';
    const { stdout } = await mimeo(['simulate', '--config', 'prod', '--synthetic', spec, '--match']);

    expect(stdout).toMatch(/^[✓✗] mimeo with min \d, buffer \d, idle \d+ s.* against keda-queue/m);
  });

  test('--html writes a page without scripts or requests, with charts of each policy', async () => {
    const file = join(await folder(), 'simulation.html');
    const { code } = await mimeo([...small, '--html', file]);
    const page = await readFile(file, 'utf8');

    expect(code).toBe(0);
    expect(page).toMatch(/^<!doctype html>/);
    expect(page.match(/<svg /g)).toHaveLength(5);
    expect(page).not.toMatch(/<script|NaN|undefined|src=/);
    expect(page).toContain('prefers-color-scheme: dark');
  });

  test('names of pools that a trace gives are escaped on the page', async () => {
    const path = await folder();
    const trace = join(path, '<b>.jsonl');
    const item = {
      model: '<script>',
      created_at: '2026-11-20T10:00:00Z',
      started_at: '2026-11-20T10:00:01Z',
      completed_at: '2026-11-20T10:00:04Z',
    };
    await writeFile(trace, JSON.stringify(item));
    const file = join(path, 'page.html');
    const { code } = await mimeo(['simulate', '--config', 'prod', '--trace', trace, '--html', file]);

    expect(code).toBe(0);
    expect(await readFile(file, 'utf8')).not.toMatch(/<b>\.jsonl|<script/);
  });

  test('settings and times can be other ones', async () => {
    const words = [
      '--idle',
      '300',
      '--min',
      '1',
      '--max-machines',
      '9',
      '--setup',
      '0',
      '--sku',
      'gpu-a40-small',
    ];
    const { stdout } = await mimeo([...small, ...words]);

    expect(stdout).toContain('mimeo: min 1, buffer 0, idle 300 s, max 9');
    expect(stdout).toContain('0 to 9 × g6e.xlarge');
    expect(stdout).toContain('a setup 0 s');
  });

  test('an Azure LLM trace is known by its first line, and a wrong line of it is named', async () => {
    const trace = join(await folder(), 'llm.csv');
    const head = 'TIMESTAMP,ContextTokens,GeneratedTokens';
    await writeFile(trace, `${head}\n2023-11-16 18:17:03.9799600,4808,10\n2023-11-16 18:27:04.03,110,27\n`);
    const fine = await mimeo(['simulate', '--config', 'prod', '--trace', trace]);
    expect(fine.stdout).toContain('2 predictions in 0 hours');

    await writeFile(trace, `${head}\n2023-11-16 18:17:03.9799600,many,10\n`);
    const wrong = await mimeo(['simulate', '--config', 'prod', '--trace', trace]);
    expect(wrong.code).toBe(exitCodes.usage);
    expect(wrong.stderr).toBe(`mimeo: ${trace}, line 2: ContextTokens is "many"; it takes a number\n`);
  });

  test.each([
    [['--synthetic', 'weekly'], 'There is no traffic "weekly"'],
    [[], 'Say either --trace FILE or --synthetic SPEC'],
    [['--trace', 'package.json', '--synthetic', 'rare'], 'Say either --trace FILE or --synthetic SPEC'],
    [['--trace', 'README.md'], 'begins neither as an Azure Functions trace'],
    [['--trace', 'package.json', '--match'], '--match takes --synthetic'],
    [['--synthetic', 'rare', '--sku', 'gpu-h100'], 'has no tier gpu-h100 that is on: there are cpu, gpu-t4'],
    [['--synthetic', 'rare', '--min', '-1'], 'It takes a whole number from 0.'],
  ])('%j is told as a mistake of the person', async (words, message) => {
    const { code, stdout, stderr } = await mimeo(['simulate', '--config', 'prod', ...words]);

    expect(code).toBe(exitCodes.usage);
    expect(stdout).toBe('');
    expect(stderr).toContain(message);
  });

  test('an environment that there is not, and a file that there is not, are told', async () => {
    const nowhere = await mimeo(['simulate', '--config', 'nope', '--synthetic', 'rare']);
    expect(nowhere).toMatchObject({ code: exitCodes.usage });
    expect(nowhere.stderr).toContain('There is no environment "nope"');

    const nothing = await mimeo(['simulate', '--config', 'prod', '--trace', 'no-such.csv']);
    expect(nothing).toMatchObject({ code: exitCodes.failure });
    expect(nothing.stderr).toContain('no-such.csv: ENOENT');
  });

  test('--help says how traffic is written', async () => {
    const { code, stdout } = await mimeo(['simulate', '--help']);

    expect(code).toBe(0);
    expect(stdout).toContain('SPEC is KIND[:NAME=VALUE,…]');
    expect(stdout).toContain('held-out (101 102 103 104 105)');
  });
});
