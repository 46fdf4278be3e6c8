import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { mimeo, newFolder } from './command.ts';

test('a folder is made that Cog understands, and the next steps are named', async () => {
  const cwd = await newFolder();

  const ended = await mimeo(['init', 'My Model'], { cwd });

  expect(ended).toMatchObject({ code: 0, stderr: '' });
  expect(ended.stdout).toContain(`npx mimeo push 'My Model' local/my-model\n`);
  expect(ended.stdout).toContain('npx mimeo run local/my-model text=Hello\n');
  const folder = join(cwd, 'My Model');
  expect((await readdir(folder)).toSorted()).toEqual(['.dockerignore', 'README.md', 'cog.yaml', 'run.py']);
  expect(parse(await readFile(join(folder, 'cog.yaml'), 'utf8'))).toMatchObject({ run: 'run.py:Runner' });
  expect(await readFile(join(folder, 'run.py'), 'utf8')).toContain('class Runner(BaseRunner):');
});

test('nothing is written where one of the files is there already', async () => {
  const cwd = await newFolder();
  await writeFile(join(cwd, 'run.py'), 'mine');

  const ended = await mimeo(['init'], { cwd });

  expect(ended).toMatchObject({
    code: 2,
    stdout: '',
    stderr: 'mimeo: . already has run.py; nothing was written. Choose another folder.\n',
  });
  expect(await readdir(cwd)).toEqual(['run.py']);
  expect(await readFile(join(cwd, 'run.py'), 'utf8')).toBe('mine');
});

test('a file in the place of the folder is refused', async () => {
  const cwd = await newFolder();
  await writeFile(join(cwd, 'model'), '');

  const ended = await mimeo(['init', 'model'], { cwd });

  expect(ended).toMatchObject({
    code: 2,
    stderr: 'mimeo: model is not a folder that can be read (ENOTDIR).\n',
  });
});
