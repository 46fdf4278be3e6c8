import { describe, expect, it } from 'vitest';
import { findMistakes, type MinimumWindow, scheduledMinimum } from '../../services/core/scheduled-minimum.ts';

const office: MinimumWindow = {
  start: '0 8 * * 1-5',
  end: '0 18 * * 1-5',
  timezone: 'Europe/Berlin',
  min: 2,
};

function at(time: string, ...schedule: readonly MinimumWindow[]): [number, string | null] {
  const { min, changesAt } = scheduledMinimum(schedule, Date.parse(time));
  return [min, changesAt === null ? null : new Date(changesAt).toISOString()];
}

describe('a scheduled minimum', () => {
  // 2026-11-20 is a Friday; Berlin is an hour ahead of UTC.
  it.each([
    ['a millisecond before it begins', '2026-11-20T06:59:59.999Z', 0, '2026-11-20T07:00:00.000Z'],
    ['from its first moment on', '2026-11-20T07:00:00Z', 2, '2026-11-20T17:00:00.000Z'],
    ['in its middle', '2026-11-20T12:34:56.789Z', 2, '2026-11-20T17:00:00.000Z'],
    ['to its end', '2026-11-20T17:00:00Z', 0, '2026-11-23T07:00:00.000Z'],
    ['and not at the weekend', '2026-11-21T12:00:00Z', 0, '2026-11-23T07:00:00.000Z'],
  ])('holds %s', (_when, time, min, changesAt) => {
    expect(at(time, office)).toEqual([min, changesAt]);
  });

  it('may last over midnight', () => {
    const night = { start: '0 22 * * *', end: '0 6 * * *', timezone: 'UTC', min: 1 };

    expect(at('2026-11-20T23:00:00Z', night)).toEqual([1, '2026-11-21T06:00:00.000Z']);
    expect(at('2026-11-21T05:59:59Z', night)).toEqual([1, '2026-11-21T06:00:00.000Z']);
    expect(at('2026-11-21T06:00:00Z', night)).toEqual([0, '2026-11-21T22:00:00.000Z']);
  });

  it('is the highest of those that overlap, and is looked at again when any of them changes', () => {
    const noon = { start: '0 12 * * *', end: '0 13 * * *', timezone: 'Europe/Berlin', min: 5 };

    expect(at('2026-11-20T10:59:00Z', office, noon)).toEqual([2, '2026-11-20T11:00:00.000Z']);
    expect(at('2026-11-20T11:00:00Z', office, noon)).toEqual([5, '2026-11-20T12:00:00.000Z']);
  });

  it('is nothing where there is no schedule', () => {
    expect(at('2026-11-20T12:00:00Z')).toEqual([0, null]);
  });
});

describe('by the clock of a place', () => {
  const daily = { start: '0 8 * * *', end: '0 9 * * *', timezone: 'Europe/Berlin', min: 1 };

  it('begins at the same hour in summer and in winter', () => {
    expect(at('2026-03-28T12:00:00Z', daily)[1]).toBe('2026-03-29T06:00:00.000Z');
    expect(at('2026-10-24T12:00:00Z', daily)[1]).toBe('2026-10-25T07:00:00.000Z');
  });

  // On 2026-03-29 Berlin goes from 02:00 to 03:00 at 01:00Z.
  it('a time in the hour that is skipped is the end of that hour', () => {
    const skipped = { start: '30 2 * * *', end: '0 5 * * *', timezone: 'Europe/Berlin', min: 1 };

    expect(at('2026-03-29T00:59:59Z', skipped)[0]).toBe(0);
    expect(at('2026-03-29T00:00:00Z', skipped)[1]).toMatch(/^2026-03-29T01:(00|30):00/);
    expect(at('2026-03-29T02:00:00Z', skipped)).toEqual([1, '2026-03-29T03:00:00.000Z']);
  });

  // On 2026-10-25 Berlin goes from 03:00 back to 02:00 at 01:00Z: 02:30 is at 00:30Z and 01:30Z.
  it('a time in the hour that comes twice counts once', () => {
    const twice = { start: '30 2 * * *', end: '0 5 * * *', timezone: 'Europe/Berlin', min: 1 };

    expect(at('2026-10-25T00:00:00Z', twice)).toEqual([0, '2026-10-25T00:30:00.000Z']);
    expect(at('2026-10-25T00:30:00Z', twice)).toEqual([1, '2026-10-25T04:00:00.000Z']);
    expect(at('2026-10-25T01:45:00Z', twice)[0]).toBe(1);
  });
});

describe('mistakes', () => {
  it('there are none in a window that comes', () => {
    expect(findMistakes(office)).toEqual([]);
    expect(findMistakes({ ...office, start: '0 0 29 2 *', timezone: 'UTC' })).toEqual([]);
  });

  it.each([
    ['start', '', 'five fields'],
    ['start', '@daily', 'five fields'],
    ['start', '* * * * * *', 'five fields'],
    ['start', '2027-01-01T00:00:00', 'five fields'],
    ['start', '0 0 31 2 *', 'never comes'],
    ['start', '61 0 * * *', 'is no cron expression'],
    ['start', '0 0 1-99999999999 * *', 'is no cron expression'],
    ['start', 'a b c d e', 'is no cron expression'],
    ['end', '0 8 * * 1-5', 'the same as start'],
    ['timezone', '', 'no time zone'],
    ['timezone', 'Mars/Phobos', 'no time zone'],
    ['timezone', '+05:00', 'no time zone'],
    ['timezone', '__proto__', 'no time zone'],
  ])('%s %j: %s', (field, value, why) => {
    expect(findMistakes({ ...office, [field]: value })).toEqual([
      { field, message: expect.stringContaining(why) },
    ]);
  });

  it('never take long to find', () => {
    const began = performance.now();
    findMistakes({ ...office, start: '0 0 30 2 *', end: '0 0 31 4,6,9,11 *' });

    expect(performance.now() - began).toBeLessThan(2000);
  });
});
