import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readInputs } from '../../services/cli/inputs.ts';
import { exampleRun, modelInterface } from '../../services/cli/model-interface.ts';
import { newFolder } from './command.ts';
import { textOutput, version } from './model.ts';

const file = { type: 'string', format: 'uri' };
const fields = {
  text: { type: 'string', 'x-order': 0 },
  steps: { type: 'integer', minimum: 5, 'x-order': 1 },
  scale: { type: 'number', 'x-order': 2 },
  raw: { type: 'boolean', 'x-order': 3 },
  image: { ...file, 'x-order': 4 },
  images: { type: 'array', items: file, 'x-order': 5 },
  sizes: { type: 'array', items: { type: 'integer' }, 'x-order': 6 },
  mode: { allOf: [{ $ref: '#/components/schemas/mode' }], default: 'fast', 'x-order': 7 },
  note: { anyOf: [{ type: 'string' }, { type: 'null' }], 'x-order': 8 },
  either: { anyOf: [{ type: 'integer' }, { type: 'string' }], 'x-order': 9 },
  options: { type: 'object', 'x-order': 10 },
  secret: { type: 'string', format: 'password', 'x-order': 11 },
  anything: { 'x-order': 12 },
};
const model = modelInterface(version(fields, textOutput));

test.each([
  ['text=a=b: c', { text: 'a=b: c' }],
  ['text=', { text: '' }],
  ['text=5', { text: '5' }],
  ['steps=-5', { steps: -5 }],
  ['scale=1.5e2', { scale: 150 }],
  ['raw=false', { raw: false }],
  ['image=https://example.com/a.png', { image: 'https://example.com/a.png' }],
  ['sizes=[1,2]', { sizes: [1, 2] }],
  ['sizes=3', { sizes: [3] }],
  ['mode=good', { mode: 'good' }],
  ['note=null', { note: 'null' }],
  ['note:=null', { note: null }],
  ['either=5', { either: 5 }],
  ['either=five', { either: 'five' }],
  ['options={"a":1}', { options: { a: 1 } }],
  ['text:="@home"', { text: '@home' }],
  ['anything=[1]', { anything: [1] }],
  ['anything=plain', { anything: 'plain' }],
])('%s', async (word, input) => {
  expect(await readInputs([word], model)).toEqual(input);
});

test('a key that takes a list may be given several times', async () => {
  expect(await readInputs(['sizes=1', 'sizes=2', 'sizes=[3,4]'], model)).toEqual({ sizes: [1, 2, 3, 4] });
});

test('a large file is uploaded, and its URL is the input; a small one is part of it', async () => {
  const folder = await newFolder();
  const [large, small] = [join(folder, 'large.png'), join(folder, 'small.png')];
  await Promise.all([writeFile(large, Buffer.alloc(300_000)), writeFile(small, 'x')]);
  const upload = async (path: string, type: string) => `https://files/${type}${path}`;

  expect(
    await readInputs([`image=@${large}`, `images=@${small}`, `images=@${large}`], model, upload),
  ).toEqual({
    image: `https://files/image/png${large}`,
    images: ['data:image/png;base64,eA==', `https://files/image/png${large}`],
  });
  expect((await readInputs([`image=@${large}`], model)).image).toMatch(/^data:image\/png;base64,AAAA/);
});

test('a file becomes a data URL for a file input and text for a string', async () => {
  const folder = await newFolder();
  const [photo, note] = [join(folder, 'photo.JPG'), join(folder, 'note.txt')];
  await Promise.all([writeFile(photo, Buffer.from([255, 216])), writeFile(note, 'grüezi\n')]);

  const input = await readInputs(
    [`image=@${photo}`, `images=@${photo}`, `images=@${note}`, `text=@${note}`, `secret=@${note}`],
    model,
  );

  expect(input).toEqual({
    image: 'data:image/jpeg;base64,/9g=',
    images: ['data:image/jpeg;base64,/9g=', 'data:text/plain;base64,Z3LDvGV6aQo='],
    text: 'grüezi\n',
    secret: 'grüezi',
  });
});

test.each([
  ['hello', '"hello" is no input: write key=value, key=@file or key:=json'],
  ['txt=x', 'there is no input "txt"; the inputs are text (string), steps (integer), scale (number), '],
  ['steps=1.5', 'steps: "1.5" is not an integer'],
  ['steps=', 'steps: "" is not an integer'],
  ['scale=big', 'scale: "big" is not a number'],
  ['raw=yes', 'raw: "yes" is neither true nor false'],
  ['sizes=[1', 'sizes: "[1" is not valid JSON (a list of integers)'],
  ['image=photo.png', 'image: "photo.png" is no URL; for a file on this machine write @photo.png'],
  ['text=@/none.txt', 'text: the file /none.txt cannot be read (ENOENT)'],
  ['text:=Hello', 'text: "Hello" is not valid JSON'],
])('%s is refused: %s', async (word, message) => {
  await expect(readInputs([word], model)).rejects.toThrow(message);
});

test('two values for one input, and inputs that are missing, are refused', async () => {
  const strict = modelInterface(version({ text: { type: 'string' } }, textOutput, ['text']));

  await expect(readInputs(['text=a', 'text=b'], strict)).rejects.toThrow('text is given twice');
  await expect(readInputs([], strict)).rejects.toThrow(
    'missing: text; the inputs are text (string, required)',
  );
});

test('what is typed as text arrives as it was typed', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.string().filter((text) => !text.startsWith('@')),
      async (text) => {
        expect(await readInputs([`text=${text}`], model)).toEqual({ text });
      },
    ),
  );
});

test('any JSON arrives whole by key:=json', async () => {
  await fc.assert(
    fc.asyncProperty(fc.jsonValue(), async (value) => {
      const json = JSON.stringify(value);
      expect(await readInputs([`anything:=${json}`], model)).toEqual({ anything: JSON.parse(json) });
    }),
  );
});

test('a version without a schema takes anything', async () => {
  const free = modelInterface({ id: 'a'.repeat(64) });

  expect(await readInputs(['a=1', 'b=x', 'c={"d":[]}'], free)).toEqual({ a: 1, b: 'x', c: { d: [] } });
});

test.each([
  [['text'], 'npx mimeo run ada/echo text="Hello"'],
  [['steps', 'raw', 'mode'], 'npx mimeo run ada/echo steps=5 raw=true mode=fast'],
  [['image', 'images', 'sizes'], 'npx mimeo run ada/echo image=@FILE images=@FILE sizes=1'],
  [['options', 'anything'], "npx mimeo run ada/echo options:='{}' anything:='{}'"],
  [[], 'npx mimeo run ada/echo text="Hello"'],
])('the line to paste for a model that requires %j', (required, line) => {
  expect(exampleRun('ada/echo', modelInterface(version(fields, textOutput, required)))).toBe(line);
});

test('a default with signs that a shell reads is quoted', () => {
  const quoted = modelInterface(version({ text: { type: 'string', default: "it's $HOME" } }, textOutput));

  expect(exampleRun('ada/echo', quoted)).toBe(`npx mimeo run ada/echo text='it'\\''s $HOME'`);
});
