import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { findBreakingChanges } from '../../services/core/schema-changes.ts';
import type { Version } from '../../services/core/version.ts';

type Inputs = Readonly<Record<string, object>>;

function document(
  inputs: Inputs,
  { required = [] as string[], output = { type: 'string' } as object, more = {} as Inputs } = {},
): Version['openapiSchema'] {
  const Input = { type: 'object', properties: inputs, required };
  return {
    components: { schemas: { Input, Output: output, ...more } },
  } as unknown as Version['openapiSchema'];
}

const text = { type: 'string', title: 'Text' };
const file = { type: 'string', format: 'uri' };
/** As Cog writes an input with `choices`. */
const choice = { allOf: [{ $ref: '#/components/schemas/size' }], default: 's' };
const sizes = (...values: string[]) => ({ size: { type: 'string', enum: values } });

describe('inputs', () => {
  it.each<[string, Inputs, Inputs, string[], string[]]>([
    ['one that is gone', { text, seed: text }, { text }, [], ['input `seed` is gone']],
    [
      'a new one that is required',
      { text },
      { text, seed: text },
      ['seed'],
      ['input `seed` is new and required'],
    ],
    ['an optional one that is required now', { text }, { text }, ['text'], ['input `text` is now required']],
    [
      'a narrower number',
      { n: { type: 'number' } },
      { n: { type: 'integer' } },
      [],
      ['input `n` takes integer instead of number'],
    ],
    ['a text that is a file now', { a: text }, { a: file }, [], ['input `a` takes file instead of string']],
    [
      'a list of other elements',
      { a: { type: 'array', items: { type: 'number' } } },
      { a: { type: 'array', items: { type: 'integer' } } },
      [],
      ['each element of input `a` takes integer instead of number'],
    ],
    [
      'tighter bounds',
      { n: { type: 'integer', minimum: 0, maximum: 10 }, a: text },
      { n: { type: 'integer', minimum: 1, maximum: 9 }, a: { ...text, maxLength: 4 } },
      [],
      [
        'input `n` must now be at least 1',
        'input `n` must now be at most 9',
        'input `a` must now have a length of at most 4',
      ],
    ],
    [
      'another pattern',
      { a: { ...text, pattern: '^a' } },
      { a: { ...text, pattern: '^b' } },
      [],
      ['input `a` must now match the pattern ^b'],
    ],
    [
      'one of two types that is gone',
      { a: { anyOf: [{ type: 'string' }, { type: 'integer' }] } },
      { a: text },
      [],
      ['input `a` takes string instead of integer or string'],
    ],
    [
      'a choice where any text was good',
      { a: text },
      { a: { enum: ['x'] } },
      [],
      ['input `a` takes only "x" now'],
    ],
  ])('tells %s', (_what, before, after, required, changes) => {
    expect(findBreakingChanges(document(before), document(after, { required }))).toEqual(changes);
  });

  it('tells a choice that is gone behind a reference', () => {
    const before = document({ size: choice }, { more: sizes('s', 'm', 'l') });
    const after = document({ size: choice }, { more: sizes('s', 'xl') });

    expect(findBreakingChanges(before, after)).toEqual(['input `size` no longer takes "m", "l"']);
  });

  it.each<[string, Inputs, Inputs]>([
    ['a new optional input', { text }, { text, seed: { type: 'integer' } }],
    ['a wider number', { n: { type: 'integer' } }, { n: { type: 'number' } }],
    [
      'wider bounds',
      { n: { type: 'integer', minimum: 1, maximum: 2 } },
      { n: { type: 'integer', minimum: 0 } },
    ],
    ['one more type', { a: text }, { a: { anyOf: [{ type: 'string' }, { type: 'integer' }] } }],
    ['null, which leaves an input out', { a: { type: ['string', 'null'] } }, { a: text }],
    ['another default, order and title', { a: { ...text, default: 'x' } }, { a: { ...text, title: 'B' } }],
    ['a secret, which is a text', { a: text }, { a: { ...text, format: 'password' } }],
  ])('is silent about %s', (_what, before, after) => {
    expect(findBreakingChanges(document(before), document(after))).toEqual([]);
  });

  it('is silent about what is not required any more, and about one more choice', () => {
    const before = document({ size: choice }, { required: ['size'], more: sizes('s') });
    const after = document({ size: choice }, { more: sizes('s', 'm') });

    expect(findBreakingChanges(before, after)).toEqual([]);
  });
});

describe('outputs', () => {
  const iterator = { type: 'array', items: text, 'x-cog-array-type': 'iterator' };

  it.each<[string, object, object, string[]]>([
    ['another type', text, file, ['the output is file instead of string']],
    [
      'a list in place of one',
      file,
      { type: 'array', items: file },
      ['the output is array of file instead of file'],
    ],
    [
      'a stream that is a list now',
      iterator,
      { type: 'array', items: text },
      ['the output is array of string instead of iterator of string'],
    ],
    [
      'a member that is gone',
      { type: 'object', properties: { a: text, b: text } },
      { type: 'object', properties: { a: text } },
      ['the output has no `b` any more'],
    ],
    [
      'a member of another type in a list',
      { type: 'array', items: { type: 'object', properties: { a: text } } },
      { type: 'array', items: { type: 'object', properties: { a: file } } },
      ['`a` of each element of the output is file instead of string'],
    ],
  ])('tells %s', (_what, before, after, changes) => {
    expect(findBreakingChanges(document({}, { output: before }), document({}, { output: after }))).toEqual(
      changes,
    );
  });

  it('is silent about a member more', () => {
    const before = document({}, { output: { type: 'object', properties: { a: text } } });
    const after = document({}, { output: { type: 'object', properties: { a: text, b: text } } });

    expect(findBreakingChanges(before, after)).toEqual([]);
  });
});

describe('hostile documents', () => {
  it('comes to an end where a schema refers to itself', () => {
    const loop = { $ref: '#/components/schemas/loop' };
    const nest = { type: 'object', properties: { next: { $ref: '#/components/schemas/nest' } } };
    const one = document({ loop, nest }, { output: nest, more: { loop, nest } });

    expect(findBreakingChanges(one, one)).toEqual([]);
  });

  it('gives up on one that would never be done', () => {
    const knot = { anyOf: Array.from({ length: 8 }, () => ({ $ref: '#/components/schemas/knot' })) };
    const one = document({ knot }, { more: { knot } });

    expect(findBreakingChanges(one, one)).toEqual([expect.stringContaining('was not compared')]);
  });

  it('says no more than fits a record', () => {
    const many = Object.fromEntries(
      Array.from({ length: 200 }, (_, at) => [`${'x'.repeat(400)}${at}`, text]),
    );
    const changes = findBreakingChanges(document(many), document({}));

    expect(changes).toHaveLength(50);
    expect(Math.max(...changes.map(({ length }) => length))).toBe(300);
  });

  it('passes no control character on to a terminal', () => {
    const before = document({ 'a\u001b[2J': text });

    expect(findBreakingChanges(before, document({}))).toEqual(['input `a�[2J` is gone']);
  });

  test('any document is read, and breaks nobody who had the same', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (schemas, other) => {
        const one = { components: { schemas } } as unknown as Version['openapiSchema'];
        const two = { components: { schemas: other } } as unknown as Version['openapiSchema'];

        expect(() => findBreakingChanges(one, two)).not.toThrow();
        expect(findBreakingChanges(one, one)).toEqual([]);
      }),
    );
  });
});
