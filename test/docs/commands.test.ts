import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import packageJson from '../../package.json' with { type: 'json' };

const root = join(import.meta.dirname, '../..');
const pages = ['README.md', ...globSync('docs/**/*.md', { cwd: root })];
const scripts: Readonly<Record<string, string>> = packageJson.scripts;

/** What a page shows as code: spans in backticks, and the lines of blocks, with those that a \ joins as one. */
function codeOf(markdown: string): readonly string[] {
  const blocks = [...markdown.matchAll(/```[^\n]*\n([\s\S]*?)```/g)].map(([, block = '']) => block);
  const spans = [...markdown.replace(/```[\s\S]*?```/g, '').matchAll(/`([^`]+)`/g)];
  const lines = blocks.flatMap((block) => block.replace(/\\\n/g, ' ').split('\n'));
  return [...lines, ...spans.map(([, span = '']) => span.replace(/\s+/g, ' '))].map(withoutComment);
}

function withoutComment(line: string): string {
  return line.replace(/(^|\s)#\s.*$/, '');
}

/** The words after `start`, as in `npx mimeo ls --json`, of each such command on a page. */
function commandsOf(markdown: string, start: string): readonly (readonly string[])[] {
  return codeOf(markdown)
    .flatMap((line) => line.split(/&&|\|\||[|;>)]/))
    .flatMap((part) => {
      const at = part.indexOf(`${start} `);
      return at < 0
        ? []
        : [
            part
              .slice(at + start.length)
              .trim()
              .split(/\s+/),
          ];
    });
}

/** Why these words are no command of `mimeo`; undefined where they are. */
function faultOf(words: readonly string[], commands: readonly Command[]): string | undefined {
  const [name = '', ...rest] = words;
  // One word in capitals stands for any command.
  if (/^[A-Z]+$/.test(name)) return undefined;
  const command = commands.find((one) => one.name() === name);
  if (!command) return `there is no command ${name}`;
  const below = command.commands.find((one) => one.name() === rest[0]);
  if (!below && command.commands.length > 0 && /^[a-z]+$/.test(rest[0] ?? '')) {
    return `${name} has no ${rest[0]}`;
  }
  const known = [command, ...(below ? [below] : [])].flatMap(({ options }) => options);
  const strange = rest
    .filter((word) => word.startsWith('--'))
    .find((word) => !known.some(({ long }) => long === word.replace(/=.*/, '')));
  return strange && `${name} has no option ${strange}`;
}

async function allCommands(): Promise<readonly Command[]> {
  const { signal } = new AbortController();
  const files = globSync('services/cli/commands/*.ts', { cwd: root });
  const modules = await Promise.all(files.map(async (file): Promise<object> => import(join(root, file))));
  return modules.flatMap((exported) =>
    Object.entries(exported)
      .filter(([name]) => name.endsWith('Command'))
      .map(([, make]: [string, (signal: AbortSignal) => Command]) => make(signal)),
  );
}

describe('the pages', () => {
  it('name only commands of mimeo that there are, with options that they take', async () => {
    const commands = await allCommands();
    const named = pages.flatMap((page) =>
      commandsOf(readFileSync(join(root, page), 'utf8'), 'npx mimeo').map((words) => ({ page, words })),
    );

    expect(named.length).toBeGreaterThan(60);
    const faults = named.flatMap(({ page, words }) => {
      const fault = faultOf(words, commands);
      return fault === undefined ? [] : [`${page}: npx mimeo ${words.join(' ')}: ${fault}`];
    });
    expect(faults).toEqual([]);
  });

  it('name only scripts of npm that there are', () => {
    const named = pages.flatMap((page) =>
      commandsOf(readFileSync(join(root, page), 'utf8'), 'npm run').map(([script = '']) => ({
        page,
        script,
      })),
    );

    expect(named.length).toBeGreaterThan(20);
    expect(named.filter(({ script }) => scripts[script] === undefined)).toEqual([]);
  });

  it('link to files and sections that there are', () => {
    const broken = pages.flatMap((page) => {
      const text = readFileSync(join(root, page), 'utf8');
      return [...text.replace(/```[\s\S]*?```/g, '').matchAll(/\]\(([^)\s]+)\)/g)]
        .map(([, target = '']) => target)
        .filter((target) => !/^https?:/.test(target) && !isThere(page, target))
        .map((target) => `${page}: ${target}`);
    });

    expect(broken).toEqual([]);
  });
});

/** Whether the target of a link on a page, such as `runbooks.md#alarms`, is there. */
function isThere(page: string, target: string): boolean {
  const [file = '', section] = target.split('#');
  const path = file === '' ? join(root, page) : join(root, page, '..', file);
  if (section === undefined) return globSync(path).length > 0;
  const headings = readFileSync(path, 'utf8')
    .replace(/```[\s\S]*?```/g, '')
    .matchAll(/^#+ (.*)$/gm);
  return [...headings].some(([, heading = '']) => anchorOf(heading) === section);
}

/** As GitHub makes it. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
}
