import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseDockerignore } from '../../services/registrar/dockerignore.ts';

describe('.dockerignore', () => {
  test.each([
    ['weights', 'weights/a/b.bin', true],
    ['weights', 'other/weights', false],
    ['**/weights', 'other/weights/x', true],
    ['**/weights', 'weights', true],
    ['*.bin', 'a.bin', true],
    ['*.bin', 'x/a.bin', false],
    ['**/*.bin', 'x/y/a.bin', true],
    ['x/**', 'x/y/z', true],
    ['/data/', 'data/a', true],
    ['./data', 'data', true],
    ['a?c', 'abc', true],
    ['a?c', 'a/c', false],
    ['[ab].txt', 'b.txt', true],
    ['[^ab].txt', 'b.txt', false],
    ['a\\*b', 'a*b', true],
    ['a\\*b', 'axb', false],
    ['a.txt', 'aXtxt', false],
    ['# a comment', '# a comment', false],
    ['', 'anything', false],
    ['*\n!keep.txt', 'keep.txt', false],
    ['*\n!keep.txt', 'other.txt', true],
    ['!keep.txt\n*', 'keep.txt', true],
    ['dir\n!dir/keep', 'dir/keep', false],
    ['dir\n!dir/keep', 'dir/other', true],
  ])('%j: %s is left out: %s', (text, path, ignored) => {
    expect(parseDockerignore(text).ignores(path)).toBe(ignored);
  });

  test('a path that is named letter by letter is left out, and so is all below it', () => {
    const name = fc.stringMatching(/^[a-z0-9+(){}|$^-][a-z0-9 +(){}|$^.-]{0,8}[a-z0-9+(){}|$^-]$/);
    fc.assert(
      fc.property(fc.array(name, { minLength: 1, maxLength: 3 }), name, (parts, below) => {
        const path = parts.join('/');
        const { ignores } = parseDockerignore(path);

        expect(ignores(path)).toBe(true);
        expect(ignores(`${path}/${below}`)).toBe(true);
        expect(ignores(`other/${path}`)).toBe(false);
      }),
    );
  });
});
