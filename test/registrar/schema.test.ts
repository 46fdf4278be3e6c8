import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { outputConcatenates, outputStreams } from '../../services/core/version.ts';
import { defaultCogVersion, ensureEnvironment } from '../../services/registrar/environment.ts';
import { modelEnvironment } from '../../services/registrar/process-environment.ts';
import { findPython } from '../../services/registrar/python.ts';
import { deriveSchema, type ModelInterface } from '../../services/registrar/schema.ts';
import { sharedEnvironments, temporaryFolder } from './registrar-home.ts';

let current: string;
let oldLine: string;

beforeAll(async () => {
  const python = await findPython();
  const make = (sdkVersion: string | null) =>
    ensureEnvironment(
      sharedEnvironments,
      python,
      { pythonPackages: [], requirementsFile: null, sdkVersion },
      import.meta.dirname,
      { onProgress: () => {} },
    );
  current = await make(null);
  oldLine = await make('0.16.12');
});

type Json = Record<string, unknown>;

/** Members of the document, as far as these tests look into it. */
interface Document {
  readonly paths: Record<string, Record<string, Json>>;
  readonly components: { readonly schemas: Record<string, Json & { properties: Record<string, Json> }> };
}

async function derive(
  environment: string,
  code: string,
  options: { train?: string; timeoutMs?: number; name?: string; files?: Record<string, string> } = {},
): Promise<ModelInterface & { document: Document }> {
  const folder = await temporaryFolder();
  const name = options.name ?? 'Predictor';
  for (const [path, content] of Object.entries({ ...options.files, 'predict.py': code })) {
    await mkdir(join(folder, path, '..'), { recursive: true });
    await writeFile(join(folder, path), content);
  }
  await writeFile(join(folder, 'cog.yaml'), `predict: predict.py:${name}\n`);
  const model = await deriveSchema({
    environment,
    sourceFolder: folder,
    predictRef: `predict.py:${name}`,
    trainRef: options.train ?? null,
    requirementsFile: null,
    env: { ...modelEnvironment(), COG_PREDICT_TYPE_STUB: `predict.py:${name}` },
    timeoutMs: options.timeoutMs ?? 60_000,
  });
  return { ...model, document: model.schema as unknown as Document };
}

/** A predictor that both lines of Cog take. */
function predictor(signature: string, before = ''): string {
  return `
from typing import Any, Dict, Iterator, List, Optional
from cog import BaseModel, BasePredictor, ConcatenateIterator, File, Input, Path, Secret
${before}
class Predictor(BasePredictor):
    def predict(self, ${signature}:
        raise NotImplementedError
`;
}

/** What the model itself brings into the document: its input, output and choices. */
function ofModel(
  { Input, ...schemas }: Document['components']['schemas'],
  line: 'new' | 'old',
): Record<string, unknown> {
  const properties = structuredClone(Input?.properties ?? {});
  for (const property of Object.values(properties)) {
    // The build of the new line (pkg/schema/openapi_spec.go) writes a default of null out where null is allowed.
    if (line === 'old' && property.nullable === true && !('default' in property)) property.default = null;
  }
  const notOfModel = /^(Prediction(Request|Response)|Status|(HTTP)?ValidationError|WebhookEvent)$/;
  const own = Object.entries(schemas).filter(([name]) => !notOfModel.test(name));
  return { Input: { ...Input, properties }, ...Object.fromEntries(own) };
}

describe('the document of the new line, held against what cog 0.16.12 says of the same predictor', () => {
  const inputs = [
    'required: str',
    'plain_default: str = "abc"',
    'described: int = Input(description="An integer")',
    'text: str = Input(default="hello", description="Some text", min_length=2, max_length=50)',
    'lower: str = Input(default="abc", regex="^[a-z]+$")',
    'count: int = Input(default=3, ge=1, le=10)',
    'ratio: float = Input(default=0.5, ge=0, le=1.5)',
    'whole: float = Input(default=1)',
    'flag: bool = Input(default=True)',
    'color: str = Input(default="red", description="A color", choices=["red", "green", "blue"])',
    'size: int = Input(default=2, choices=[1, 2, 4])',
    'must_choose: str = Input(choices=["a", "b"])',
    'image: Path = Input(description="A picture")',
    'document: File = Input(description="A document")',
    'api_key: Secret = Input(description="A secret")',
    'words: List[str] = Input(default=["a", "b"])',
    'numbers: List[int] = Input(description="Numbers")',
    'files: List[Path] = Input(description="Files")',
    'builtin_list: list[str] = Input(default=[])',
    'maybe: Optional[int] = Input(default=None, description="May be left out")',
    'maybe_text: Optional[str] = Input(default="x")',
    'maybe_image: Optional[Path] = Input(default=None)',
    'old: str = Input(default="x", deprecated=True)',
  ];

  test('every kind of input', async () => {
    const code = predictor(`${inputs.join(', ')}) -> str`);

    const ours = (await derive(current, code)).document;
    const oracle = (await derive(oldLine, code)).document;

    expect(ofModel(ours.components.schemas, 'new')).toEqual(ofModel(oracle.components.schemas, 'old'));
    expect(Object.values(ours.components.schemas.Input?.properties ?? {}).map((p) => p['x-order'])).toEqual(
      inputs.map((_, order) => order),
    );
  });

  test.each([
    ['str'],
    ['int'],
    ['bool'],
    ['Path'],
    ['List[str]'],
    ['List[Path]'],
    ['Iterator[int]'],
    ['Iterator[Path]'],
    ['ConcatenateIterator[str]'],
  ])('output %s', async (type) => {
    const code = predictor(`n: int) -> ${type}`);

    const ours = await derive(current, code);
    const oracle = await derive(oldLine, code);

    expect(ours.document.components.schemas.Output).toEqual(oracle.document.components.schemas.Output);
    expect(outputStreams(ours.schema)).toBe(type.includes('Iterator'));
    expect(outputConcatenates(ours.schema)).toBe(type.startsWith('Concatenate'));
  });

  test('an object as output', async () => {
    const code = predictor(
      'n: int) -> Output',
      `
class Output(BaseModel):
    text: str
    score: float
    is_good: bool
    note: Optional[str]
    picture: Path
    tags: List[str]
    more: Optional[Path] = None
`,
    );

    expect((await derive(current, code)).document.components.schemas.Output).toEqual(
      (await derive(oldLine, code)).document.components.schemas.Output,
    );
  });

  test('an object within an object stands where it is used, instead of beside it', async () => {
    const code = predictor(
      'n: int) -> Output',
      `
class Part(BaseModel):
    name: str
    weight: Optional[float]

class Output(BaseModel):
    part: Part
`,
    );

    const ours = (await derive(current, code)).document.components.schemas;
    const oracle = (await derive(oldLine, code)).document.components.schemas;

    expect(oracle.Output?.properties.part).toEqual({ $ref: '#/components/schemas/Part' });
    expect({ ...ours.Output?.properties.part }).toEqual(oracle.Part);
  });

  test('the same ways to call it', async () => {
    const code = predictor('n: int) -> str');

    const ours = (await derive(current, code)).document.paths;
    const oracle = (await derive(oldLine, code)).document.paths;

    for (const path of Object.keys(ours)) expect(Object.keys(oracle)).toContain(path);
    for (const member of ['summary', 'description', 'operationId', 'requestBody', 'responses']) {
      expect(ours['/predictions']?.post?.[member]).toEqual(oracle['/predictions']?.post?.[member]);
    }
  });
});

describe('what only the new line knows', () => {
  const runner = (signature: string, before = '', decorator = '') => `
from typing import Annotated, Any, Iterator, Optional, TypedDict, Union
import cog
from cog import BaseModel, BaseRunner, ConcatenateIterator, Input, Opaque, Path, Secret
${before}
class Predictor(BaseRunner):
    ${decorator}
    ${signature}:
        raise NotImplementedError
`;
  const inputOf = async (parameter: string) =>
    (await derive(current, runner(`def run(self, x: ${parameter}) -> str`))).document.components.schemas
      .Input;

  // Expected: pkg/schema/openapi_spec.go of Cog.
  test.each([
    ['dict', { type: 'object' }, true],
    ['Any', { type: 'object' }, true],
    ['str | int', { anyOf: [{ type: 'string' }, { type: 'integer' }] }, true],
    ['Annotated[str, "note"]', { type: 'string' }, true],
    ['Annotated[list[object], Opaque]', { type: 'array', items: { type: 'object' } }, true],
    ['Optional[str]', { type: 'string', nullable: true }, false],
    ['str = Input(default=None)', { type: 'string' }, true],
    [
      'Secret = Input(default=None)',
      {
        type: 'string',
        format: 'password',
        writeOnly: true,
        'x-cog-secret': true,
        nullable: true,
        default: null,
      },
      false,
    ],
    ['Path = Input(accept="image/*")', { type: 'string', format: 'uri', 'x-cog-accept': 'image/*' }, true],
  ])('input %s', async (parameter, expected, required) => {
    const input = await inputOf(parameter);

    expect(input?.properties.x).toEqual({ title: 'X', ...expected, 'x-order': 0 });
    expect(input?.required).toEqual(required ? ['x'] : undefined);
  });

  test.each([
    ['Any', { type: 'object' }],
    [
      'dict[str, list[int]]',
      { type: 'object', additionalProperties: { type: 'array', items: { type: 'integer' } } },
    ],
    [
      'list[dict[str, str]]',
      { type: 'array', items: { type: 'object', additionalProperties: { type: 'string' } } },
    ],
    [
      'Reply',
      {
        type: 'object',
        properties: { text: { type: 'string', title: 'Text' }, n: { type: 'integer', title: 'N' } },
        required: ['text'],
      },
    ],
  ])('output %s', async (type, expected) => {
    const before =
      'class Optional_(TypedDict, total=False):\n    n: int\nclass Reply(Optional_):\n    text: str\n';
    const { document } = await derive(current, runner(`def run(self) -> ${type}`, before));

    expect(document.components.schemas.Output).toMatchObject({ title: 'Output', ...expected });
  });

  test('a choice that may be null can be checked', async () => {
    const input = await inputOf('Optional[str] = Input(default=None, choices=["a", "b"])');

    expect(input?.properties.x).toMatchObject({
      allOf: [{ $ref: '#/components/schemas/x' }],
      nullable: true,
    });
  });

  test('only what is marked streams by Cog itself', async () => {
    const streaming = await derive(
      current,
      runner('def run(self) -> ConcatenateIterator[str]', '', '@cog.streaming'),
    );
    const plain = await derive(current, runner('def run(self) -> ConcatenateIterator[str]'));

    expect(streaming.document.paths['/predictions']?.post?.['x-cog-streaming']).toBe(true);
    expect(plain.document.paths['/predictions']?.post).not.toHaveProperty('x-cog-streaming');
  });

  test('the decorator says how many predictions run at once', async () => {
    const model = await derive(current, runner('async def run(self) -> str', '', '@cog.concurrent(max=4)'));

    expect(model).toMatchObject({ concurrency: 4, isAsync: true, cogVersion: defaultCogVersion });
  });

  test('annotations may be texts', async () => {
    const code = `from __future__ import annotations\n${runner('def run(self, x: int | None = None) -> list[str]')}`;

    const { schemas } = (await derive(current, code)).document.components;

    expect(schemas.Input?.properties.x).toMatchObject({ type: 'integer', nullable: true, default: null });
    expect(schemas.Output).toMatchObject({ type: 'array', items: { type: 'string' } });
  });

  test('a method of a base class and modules of the folder are found', async () => {
    const code = 'from lib.base import Base\n\nclass Predictor(Base):\n    pass\n';
    const base =
      'from cog import BaseRunner\n\nclass Base(BaseRunner):\n    def run(self, x: int) -> str:\n        return ""\n';

    const { document } = await derive(current, code, { files: { 'lib/base.py': base } });

    expect(document.components.schemas.Input?.properties).toHaveProperty('x');
  });

  test('a trainer is described beside the predictor', async () => {
    const code = `${runner('def run(self) -> str')}\ndef train(steps: int = Input(default=10)) -> Path:\n    pass\n`;

    const { document } = await derive(current, code, { train: 'predict.py:train' });

    expect(document.components.schemas.TrainingInput?.properties.steps).toMatchObject({ default: 10 });
    expect(Object.keys(document.paths)).toContain('/trainings');
    expect(Object.keys(document.paths)).toContain('/predictions');
  });
});

describe('what is wrong with a model is told with its place', () => {
  const run = (lines: string) => `from cog import BaseRunner, Input\n${lines}`;
  const method = (signature: string) =>
    run(
      `class Predictor(BaseRunner):\n    def run(\n        self,\n        ${signature}:\n        return ""\n`,
    );

  test.each([
    [
      'no such class',
      run('class Runner(BaseRunner): pass'),
      /^predict\.py: predict\.py has no class or function called Predictor; it has Runner$/,
    ],
    [
      'no method',
      run('class Predictor(BaseRunner):\n    pass'),
      /^predict\.py:2: Predictor has no run\(\) method/,
    ],
    [
      'a missing package',
      'import os\nimport torch_of_tomorrow',
      /^predict\.py:2: ModuleNotFoundError: .*'torch_of_tomorrow'; .*add it to a requirements\.txt/,
    ],
    ['a syntax error', 'x = 1\ndef broken(:', /^predict\.py:2: SyntaxError/],
    [
      'an error at import',
      'x = 1\n\nraise ValueError("no weights")',
      /^predict\.py:3: ValueError: no weights$/,
    ],
    ['an exit at import', 'import sys\nsys.exit("bye")', /^predict\.py:2: SystemExit: bye$/],
    [
      'a crash at import',
      'import os\nprint("about to die", flush=True)\nos._exit(3)',
      /^predict\.py: importing it ended the Python process \(exit code 3\)\nabout to die$/,
    ],
    ['an input without type', method('name = "x",\n    ) -> str'), /^predict\.py:5: input name has no type/],
    [
      'a type that Cog does not know',
      method('pairs: tuple[int, int],\n    ) -> str'),
      /^predict\.py:5: input pairs: Cog cannot take tuple\[int, int\]/,
    ],
    ['no return type', method('x: int,\n    )'), /^predict\.py:3: run\(\) has no return type/],
    [
      'an optional result',
      method('x: int,\n    ) -> str | None'),
      /^predict\.py:6: Cog cannot return Optional/,
    ],
    [
      'a result that Cog does not know',
      method('x: int,\n    ) -> set[int]'),
      /^predict\.py:6: Cog cannot return set\[int\]/,
    ],
    [
      'any number of inputs',
      method('**kwargs: int,\n    ) -> str'),
      /^predict\.py:5: run\(\) must not have \*kwargs/,
    ],
    [
      'a name that cannot be resolved',
      method('x: "Missing",\n    ) -> str'),
      /^predict\.py:3: the annotations of run\(\) cannot be resolved: name 'Missing'/,
    ],
    [
      'a default that is no JSON',
      method('x: float = Input(default=float("nan")),\n    ) -> str'),
      /^predict\.py:5: the default of input x cannot be written as JSON/,
    ],
    [
      'a regex that cannot be read',
      method('x: str = Input(regex="["),\n    ) -> str'),
      /^predict\.py: its inputs cannot be checked: Invalid regular expression/,
    ],
  ])('%s', async (_, code, message) => {
    await expect(derive(current, code)).rejects.toMatchObject({
      code: 'invalid_model',
      message: expect.stringMatching(message),
    });
  });

  test('an import that fails deep inside is told by the last line of the user', async () => {
    const files = { 'lib/deep.py': 'import json\n\njson.loads("{")\n' };

    await expect(derive(current, 'from lib import deep', { files })).rejects.toThrow(
      /^lib\/deep\.py:3: JSONDecodeError/,
    );
  });

  test('an import that does not end is ended', async () => {
    const code = 'import time\nprint("loading weights", flush=True)\ntime.sleep(600)';

    await expect(derive(current, code, { timeoutMs: 1500 })).rejects.toThrow(
      /importing it took longer than 2 s; load weights in setup\(\)[\s\S]*loading weights/,
    );
  });

  test('the old line tells what it cannot express, and that it knows no run()', async () => {
    await expect(derive(oldLine, predictor('x: tuple) -> str'))).rejects.toThrow(/Unsupported input type/);
    await expect(
      derive(oldLine, 'class Predictor:\n    def run(self) -> str:\n        return ""\n'),
    ).rejects.toThrow(/cog 0\.16\.12 calls predict\(\), not run\(\)/);
  });
});
