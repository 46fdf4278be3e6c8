import { describe, expect, it } from 'vitest';
import { type NamedKind, physicalName } from '../../infra/names.ts';

describe('a physical name', () => {
  it.each<[NamedKind, readonly string[], string]>([
    ['queue', ['mimeo', 'dev', 'jobs'], 'mimeo-dev-jobs'],
    ['bucket', ['Mimeo', 'Dev', 'outputs'], 'mimeo-dev-outputs'],
    ['function', ['Mimeo', 'Dev', 'metering'], 'Mimeo-Dev-metering'],
    ['role', ['mimeo', 'prod', 'api'], 'mimeo-prod-api'],
    ['loadBalancer', ['mimeo', 'a-long-environment', 'public-api'], 'mimeo-a-long-environmen-7169569c'],
  ])('of a %s from %j', (kind, parts, expected) => {
    expect(physicalName(kind, ...parts)).toBe(expected);
  });

  it.each<[NamedKind, number]>([
    ['role', 64],
    ['queue', 80],
    ['bucket', 63],
    ['loadBalancer', 32],
    ['nodeGroup', 63],
    ['cache', 40],
  ])('of a %s has at most %i characters, and two that are cut stay two', (kind, most) => {
    const long = 'x'.repeat(most);
    const [one, other] = ['a', 'b'].map((last) => physicalName(kind, 'mimeo', long, last));

    expect(one).toHaveLength(most);
    expect(one).not.toBe(other);
    expect(physicalName(kind, 'mimeo', long, 'a')).toBe(one);
  });

  it.each(['', 'a_b', 'a b', '-a', 'a--b', 'é'])('has no part such as "%s"', (part) => {
    expect(() => physicalName('queue', 'mimeo', part)).toThrow('cannot be part of a name');
  });
});
