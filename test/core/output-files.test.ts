import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fileFinder, filesOfElement, replaceAt, valueAt } from '../../services/core/output-files.ts';

const uri = { type: 'string', format: 'uri' };
const document = (output: object, others: object = {}) => ({
  components: { schemas: { Output: output, ...others } },
});
const file = 'data:text/plain;base64,YQ==';

describe('files in an output are found', () => {
  it.each([
    ['alone', uri, file, [[]]],
    ['in a list', { type: 'array', items: uri }, [file, null, file], [[0], [2]]],
    [
      'in lists of lists',
      { items: { items: uri } },
      [[file], [], [file]],
      [
        [0, 0],
        [2, 0],
      ],
    ],
    ['in an object', { properties: { a: uri, b: { type: 'string' } } }, { a: file, b: file }, [['a']]],
    ['in a map', { additionalProperties: uri }, { x: file, y: file }, [['x'], ['y']]],
    ['behind anyOf', { anyOf: [{ type: 'null' }, uri] }, file, [[]]],
    ['behind a reference', { $ref: '#/components/schemas/Other' }, { deep: [file] }, [['deep', 0]]],
  ])('%s', (_, schema, output, paths) => {
    const Other = { properties: { deep: { items: uri } } };

    expect(fileFinder(document(schema, { Other }))?.inOutput(output)).toEqual(paths);
  });

  it('in the elements of an iterator', () => {
    const finder = fileFinder(document({ type: 'array', 'x-cog-array-type': 'iterator', items: uri }));

    expect(finder?.inElement(file)).toEqual([[]]);
  });

  it('only where the schema says so, and only as data URLs', () => {
    expect(fileFinder(document({ type: 'string' }))).toBeUndefined();
    expect(fileFinder(undefined)).toBeUndefined();
    expect(fileFinder(document(uri))?.inOutput('https://example.com/a.png')).toEqual([]);
    expect(fileFinder(document({ properties: { a: uri } }))?.inOutput({ toString: file })).toEqual([]);
  });

  it('also in schemas that refer to themselves, to an end', () => {
    const Loop = { anyOf: [{ $ref: '#/components/schemas/Loop' }, uri] };

    expect(fileFinder(document({ $ref: '#/components/schemas/Loop' }, { Loop }))?.inOutput(1)).toEqual([]);
  });
});

it('what is put at a path is found there, and nothing else is changed', () => {
  fc.assert(
    fc.property(fc.array(fc.jsonValue(), { minLength: 1 }), fc.nat(), (list, number) => {
      const index = number % list.length;
      const changed = replaceAt({ list }, ['list', index], 'new') as { list: unknown[] };

      expect(valueAt(changed, ['list', index])).toBe('new');
      expect(changed.list.toSpliced(index, 1)).toEqual(list.toSpliced(index, 1));
    }),
  );
});

it.each([
  [{ a: 1 }, ['b']],
  [{ a: 1 }, ['toString']],
  [[1], [5]],
  [[1], ['length']],
  ['text', [0]],
  [null, ['a']],
])('a path that leads nowhere changes nothing: %j %j', (value, path) => {
  expect(replaceAt(value, path, 'new')).toEqual(value);
});

it('the files of one element are named by their paths in it', () => {
  const files = [
    { path: [0], name: 'a' },
    { path: [1, 'x'], name: 'b' },
  ];

  expect(filesOfElement(files, 1)).toEqual([{ path: ['x'], name: 'b' }]);
  expect(filesOfElement(files, 2)).toBeUndefined();
  expect(filesOfElement(undefined, 0)).toBeUndefined();
});
