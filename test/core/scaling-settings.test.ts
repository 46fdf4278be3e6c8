import { describe, expect, it } from 'vitest';
import { defaultPolicy } from '../../services/core/scaling.ts';
import {
  addHold,
  givenScalingSettingsSchema,
  keepsInstances,
  type PoolScaling,
  policyOf,
  withoutMinimum,
} from '../../services/core/scaling-settings.ts';

const now = Date.parse('2026-11-20T12:00:00Z');
const defaults = { ...defaultPolicy, max: 4, idleSeconds: 60 };
const office = { start: '0 8 * * 1-5', end: '0 18 * * 1-5', timezone: 'UTC', min: 3 };

describe('what is wanted of a pool', () => {
  it('is what the platform has where its owner has said nothing', () => {
    expect(policyOf(defaults, undefined, now)).toEqual(defaults);
    expect(policyOf(defaults, {}, now)).toEqual({ ...defaults, changesAt: null });
  });

  it('is what its owner says', () => {
    const scaling: PoolScaling = { min: 1, max: 2, buffer: 1, idle_seconds: 600 };

    expect(policyOf(defaults, scaling, now)).toMatchObject({ min: 1, max: 2, buffer: 1, idleSeconds: 600 });
  });

  it('is never more than the platform’s limit', () => {
    const scaling: PoolScaling = {
      min: 100,
      max: 1000,
      schedule: [{ ...office, min: 500 }],
      warm: [{ instances: 700, until: now + 1 }],
    };

    expect(policyOf(defaults, scaling, now)).toMatchObject({ min: 4, max: 4 });
  });

  it('keeps the most of what is always, scheduled and warm, until the first of them changes', () => {
    const warm = [{ instances: 4, until: now + 60_000 }];
    const scaling: PoolScaling = { min: 1, schedule: [office], warm };

    expect(policyOf(defaults, scaling, now)).toMatchObject({ min: 4, changesAt: now + 60_000 });
    expect(policyOf(defaults, scaling, now + 60_000)).toMatchObject({
      min: 3,
      changesAt: Date.parse('2026-11-20T18:00:00Z'),
    });
    expect(policyOf(defaults, scaling, Date.parse('2026-11-20T18:00:00Z'))).toMatchObject({ min: 1 });
  });

  it('of a version that is not the latest keeps limits and no minimum', () => {
    const scaling = withoutMinimum({ min: 2, max: 3, idle_seconds: 5, schedule: [office] });

    expect(policyOf(defaults, scaling, now)).toMatchObject({ min: 0, max: 3, idleSeconds: 5 });
    expect(keepsInstances(scaling)).toBe(false);
  });
});

it.each<[PoolScaling, boolean]>([
  [{}, false],
  [{ min: 0, max: 3, buffer: 2, schedule: [], warm: [] }, false],
  [{ min: 1 }, true],
  [{ schedule: [office] }, true],
  [{ warm: [{ instances: 1, until: now }] }, true],
])('a pool with %j is looked at though nobody uses it: %s', (scaling, isKept) => {
  expect(keepsInstances(scaling)).toBe(isKept);
});

describe('holds', () => {
  it('are extended by asking again, and never add up', () => {
    const first = addHold([], { instances: 2, until: now + 1000 }, now);
    const again = addHold(first, { instances: 2, until: now + 1000 }, now);

    expect(again).toEqual([{ instances: 2, until: now + 1000 }]);
    expect(addHold(again, { instances: 2, until: now + 5000 }, now)).toEqual([
      { instances: 2, until: now + 5000 },
    ]);
  });

  it('for fewer instances take none from those that were asked for before', () => {
    const holds = addHold([{ instances: 3, until: now + 1000 }], { instances: 1, until: now + 5000 }, now);

    expect(holds).toEqual([
      { instances: 1, until: now + 5000 },
      { instances: 3, until: now + 1000 },
    ]);
    expect(policyOf(defaults, { warm: [...holds] }, now)).toMatchObject({ min: 3, changesAt: now + 1000 });
    expect(policyOf(defaults, { warm: [...holds] }, now + 1000).min).toBe(1);
    expect(policyOf(defaults, { warm: [...holds] }, now + 5000)).toMatchObject({ min: 0, changesAt: null });
  });

  it('that are over are forgotten', () => {
    expect(addHold([{ instances: 9, until: now }], { instances: 1, until: now + 1 }, now)).toEqual([
      { instances: 1, until: now + 1 },
    ]);
  });
});

describe('settings as they are given', () => {
  const mistakesOf = (settings: unknown) => {
    const { error } = givenScalingSettingsSchema.safeParse(settings);
    return error && [...new Set(error.issues.map(({ path }) => path.join('.')))];
  };

  it('are taken', () => {
    expect(mistakesOf({ min: 0, max: 1000, buffer: 0, idle_seconds: 86_400, schedule: [office] })).toEqual(
      undefined,
    );
    const { timezone: _utc, ...window } = office;
    expect(givenScalingSettingsSchema.parse({ schedule: [window] }).schedule?.[0]?.timezone).toBe('UTC');
  });

  it.each<[object, string]>([
    [{ min: -1 }, 'min'],
    [{ min: 1001 }, 'min'],
    [{ min: 1.5 }, 'min'],
    [{ min: 1e308 }, 'min'],
    [{ min: '1' }, 'min'],
    [{ max: 0 }, 'max'],
    [{ min: 3, max: 2 }, 'min'],
    [{ idle_seconds: 0 }, 'idle_seconds'],
    [{ idle_seconds: 86_401 }, 'idle_seconds'],
    [{ schedule: [{ ...office, min: 3 }], max: 2 }, 'schedule.0.min'],
    [{ schedule: [{ ...office, start: 'soon' }] }, 'schedule.0.start'],
    [{ schedule: [office, { ...office, timezone: 'Berlin' }] }, 'schedule.1.timezone'],
    [{ schedule: [{ ...office, replicas: 1 }] }, 'schedule.0'],
    [{ schedule: Array.from({ length: 11 }, () => office) }, 'schedule'],
    [{ schedule: [{ ...office, start: '* '.repeat(51) }] }, 'schedule.0.start'],
    [{ minimum: 1 }, ''],
  ])('%j is a mistake of %j', (settings, path) => {
    expect(mistakesOf(settings)).toEqual([path]);
  });
});
