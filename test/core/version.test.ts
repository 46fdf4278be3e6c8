import { expect, test } from 'vitest';
import { outputConcatenates, outputStreams } from '../../services/core/version.ts';

function withOutput(output: unknown): Record<string, unknown> {
  return { openapi: '3.0.2', components: { schemas: { Output: output } } };
}

test('an iterator streams, and a concatenating one reads as one text', () => {
  const iterator = withOutput({ type: 'array', 'x-cog-array-type': 'iterator' });
  const text = withOutput({
    type: 'array',
    'x-cog-array-type': 'iterator',
    'x-cog-array-display': 'concatenate',
  });

  expect([outputStreams(iterator), outputConcatenates(iterator)]).toEqual([true, false]);
  expect([outputStreams(text), outputConcatenates(text)]).toEqual([true, true]);
});

test.each([
  ['a plain output', withOutput({ type: 'string' })],
  ['a list', withOutput({ type: 'array', items: { type: 'string' } })],
  ['no output', { components: { schemas: {} } }],
  ['no schemas', { components: null }],
  ['an output that is not an object', withOutput('iterator')],
  ['nothing', {}],
])('%s does not stream', (_, schema) => {
  expect(outputStreams(schema)).toBe(false);
  expect(outputConcatenates(schema)).toBe(false);
});
