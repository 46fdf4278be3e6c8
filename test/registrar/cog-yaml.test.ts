import { describe, expect, test } from 'vitest';
import { parseCogYaml } from '../../services/registrar/cog-yaml.ts';

describe('parseCogYaml', () => {
  test('reads what a model needs', () => {
    const parsed = parseCogYaml(`
build:
  python_version: "3.12"
  python_packages:
    - pillow==11.0.0
  sdk_version: 0.16.12
predict: predict.py:Predictor
train: train.py:train
concurrency:
  max: 4
environment:
  - GREETING=a=b
image: r8.im/me/model
`);

    expect(parsed).toEqual({
      predictRef: 'predict.py:Predictor',
      trainRef: 'train.py:train',
      pythonVersion: '3.12',
      pythonPackages: ['pillow==11.0.0'],
      requirementsFile: null,
      sdkVersion: '0.16.12',
      wantsGpu: false,
      concurrency: 4,
      environment: { GREETING: 'a=b' },
      warnings: [],
    });
  });

  test('the shortest file is one line', () => {
    expect(parseCogYaml('run: run.py:Runner').predictRef).toBe('run.py:Runner');
  });

  test('an unquoted 3.10 is not the number 3.1', () => {
    expect(parseCogYaml('build:\n  python_version: 3.10\nrun: run.py:Runner').pythonVersion).toBe('3.10');
  });

  test.each([
    [
      'an unknown key',
      'run: run.py:Runner\npredicts: a',
      'cog.yaml:2: `predicts` is not a key that Cog knows',
    ],
    [
      'an unknown key of build',
      'run: run.py:Runner\nbuild:\n  gpu: true\n  gpuu: true',
      'cog.yaml:4: `build.gpuu` is not a key that Cog knows',
    ],
    ['a wrong type', 'run: run.py:Runner\nbuild:\n  gpu: maybe', 'cog.yaml:3: `build.gpu`'],
    ['a reference without a class', 'run: run.py', 'cog.yaml:1: `run`: must name a file and a class'],
    ['broken YAML', 'run: run.py:Runner\nbuild: {', 'cog.yaml:2'],
    ['an empty file', '', 'cog.yaml: it must hold keys'],
    ['no model', 'build:\n  gpu: true', 'it names no model; add `run: run.py:Runner`'],
    ['two models', 'run: a.py:A\npredict: b.py:B', 'cog.yaml:2: `run` and `predict` are both given'],
    [
      'packages in two places',
      'run: a.py:A\nbuild:\n  python_packages: [x]\n  python_requirements: r.txt',
      'cog.yaml:3: `python_packages` and `python_requirements` are both given',
    ],
    [
      'an SDK too old',
      'run: a.py:A\nbuild:\n  sdk_version: 0.9.4',
      'cog.yaml:3: `build.sdk_version`: cog 0.9.4',
    ],
    ['a reserved variable', 'run: a.py:A\nenvironment:\n  - PATH=/x', 'cog.yaml:3: `PATH` is reserved'],
    ['a variable set twice', 'run: a.py:A\nenvironment:\n  - A=1\n  - A=2', 'cog.yaml:4: `A` is set twice'],
    ['a variable without value', 'run: a.py:A\nenvironment:\n  - A', 'cog.yaml:3: `environment.0`'],
    ['no room', 'run: a.py:A\nconcurrency:\n  max: 0', 'cog.yaml:3: `concurrency.max`'],
  ])('%s is refused with its line', (_, text, message) => {
    expect(() => parseCogYaml(text)).toThrow(message);
  });

  test('every mistake is told at once', () => {
    expect(() => parseCogYaml('run: run.py\nbuild:\n  gpu: 1\nfoo: 2')).toThrow(
      /cog\.yaml:4[\s\S]*|cog\.yaml:1/,
    );
    try {
      parseCogYaml('run: run.py\nbuild:\n  gpu: 1\nfoo: 2');
    } catch (error) {
      expect(
        (error as Error).message
          .split('\n')
          .map((line) => line.slice(0, 10))
          .sort(),
      ).toEqual(['cog.yaml:1', 'cog.yaml:3', 'cog.yaml:4']);
    }
  });

  test.each([
    ['for nothing', 'run: *somewhere'],
    [
      'for a billion things',
      'abcdefghi'.replace(
        /./g,
        (name, index) => `${name}: &${name} [${Array(9).fill(index ? `*${'abcdefghi'[index - 1]}` : 'x')}]\n`,
      ),
    ],
  ])('an alias that stands %s is a mistake', (_, text) => {
    expect(() => parseCogYaml(text)).toThrow(expect.objectContaining({ code: 'invalid_model' }));
  });

  test('what only Docker could give is a warning', () => {
    const { warnings } = parseCogYaml(`
build:
  cuda: "12.4"
  system_packages: [ffmpeg]
  run: [make]
  pre_install: [make]
run: run.py:Runner
`);

    expect(warnings).toHaveLength(4);
    expect(warnings[0]).toContain('ffmpeg');
  });
});
