import type { Ignoring } from './digest.ts';

/**
 * Which paths a `.dockerignore` leaves out. Rules: https://docs.docker.com/build/concepts/context/#dockerignore-files
 * Unlike in .gitignore, a pattern without a slash matches at the top only, and what is below a match is left out too.
 * Paths are POSIX and relative to the folder.
 */
export function parseDockerignore(text: string): Ignoring {
  const rules = text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .flatMap(parseLine);
  const ignores = (path: string) => {
    let ignored = false;
    for (const { pattern, keeps } of rules) {
      if (ignored === keeps && pattern.test(path)) ignored = !keeps;
    }
    return ignored;
  };
  return { ignores, hasExceptions: rules.some(({ keeps }) => keeps) };
}

function parseLine(line: string): { pattern: RegExp; keeps: boolean }[] {
  if (line.startsWith('#')) return [];
  const trimmed = line.trim();
  const keeps = trimmed.startsWith('!');
  const cleaned = clean(keeps ? trimmed.slice(1).trim() : trimmed);
  return cleaned === '' ? [] : [{ pattern: toRegExp(cleaned), keeps }];
}

/** As Go's filepath.Clean, with leading and trailing slashes taken away. */
function clean(pattern: string): string {
  const parts: string[] = [];
  for (const part of pattern.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return parts.join('/');
}

function toRegExp(pattern: string): RegExp {
  let source = '';
  for (let at = 0; at < pattern.length; at++) {
    const char = pattern.charAt(at);
    if (char === '*' && pattern[at + 1] === '*') {
      at++;
      if (pattern[at + 1] === '/') {
        at++;
        source += '(?:.*/)?';
      } else source += '.*';
    } else if (char === '*') source += '[^/]*';
    else if (char === '?') source += '[^/]';
    else if (char === '[' && pattern.indexOf(']', at + 2) > 0) {
      const end = pattern.indexOf(']', at + 2);
      source += `[${pattern.slice(at + 1, end).replace(/[\\[]/g, '\\$&')}]`;
      at = end;
    } else if (char === '\\' && at + 1 < pattern.length) source += literal(pattern.charAt(++at));
    else source += literal(char);
  }
  return new RegExp(`^${source}(?:/.*)?$`, 's');
}

function literal(char: string): string {
  return char.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
}
