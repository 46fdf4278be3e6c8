import { expect, it } from 'vitest';
import { forgetBeyond, remember, rememberTime } from '../../services/core/remembered.ts';

it('what was kept last stays, and the oldest goes where there are too many', () => {
  const kept = new Map<string, number>();
  for (const key of ['a', 'b', 'a', 'c']) remember(kept, key, kept.size, 2);

  expect([...kept.keys()]).toEqual(['a', 'c']);
  forgetBeyond(kept, 2);
  expect(kept.size).toBe(2);
  forgetBeyond(kept, 1);
  expect([...kept.keys()]).toEqual(['c']);
});

it('a time is kept until it is long enough ago', () => {
  const times = new Map<string, number>();
  rememberTime(times, 'a', 0, 10);
  rememberTime(times, 'b', 5, 10);
  rememberTime(times, 'a', 9, 10);
  rememberTime(times, 'c', 15, 10);

  expect([...times]).toEqual([
    ['a', 9],
    ['c', 15],
  ]);
});
