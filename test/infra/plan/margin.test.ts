import { describe, expect, test } from 'vitest';
import { tierMargins, tierNote, tiersThatAreOff } from '../../../infra/plan/margin.ts';
import { configOf } from './fixture.ts';

function marginOf(sku: string, settings: Readonly<Record<string, object>> = {}, region?: string) {
  const [tier] = tierMargins(configOf({ tiers: { [sku]: { max: 2 } }, ...settings }, region));
  if (!tier) throw new Error(`no margin of ${sku}`);
  return tier;
}

describe('the margin of a tier', () => {
  test('is what its price leaves of an hour that AWS is paid for', () => {
    const tier = marginOf('gpu-t4');

    expect(tier).toMatchObject({ instanceType: 'g4dn.xlarge', gpus: 1, machineUsdPerHour: 0.526 });
    expect(tier.awsMicroUsdPerSecond).toBeCloseTo((0.526 / 3600) * 1e6, 9);
    expect(tier.priceUsdPerHour).toBeCloseTo(0.81, 9);
    expect(tier.marginPercent).toBeCloseTo(100 - (0.526 / 0.81) * 100, 9);
  });

  test('says from how many busy hours a day a machine that is always on pays', () => {
    expect(marginOf('gpu-t4').alwaysOnHoursPerDay).toBeCloseTo((24 * 0.526) / 0.81, 9);
  });

  test('shares a machine among its GPUs, and tells what one job on an idle tier costs', () => {
    const tier = marginOf('gpu-a100-small');

    expect(tier.gpus).toBe(8);
    expect(tier.awsUsdPerGpuHour).toBeCloseTo(21.957642 / 8, 9);
    expect(tierNote(tier)).toBe(
      'comes 8 GPUs at a time: one prediction on an idle tier starts a machine of $21.96 an hour',
    );
  });

  test('is negative, and always-on never pays, where AWS takes more than the price', () => {
    const tier = marginOf('gpu-h100');

    expect(tier.marginPercent).toBeLessThan(0);
    expect(tier.alwaysOnHoursPerDay).toBeUndefined();
    expect(tierNote(tier)).toContain('priced under');
  });

  test("goes by the environment's own prices", () => {
    expect(marginOf('gpu-t4', { prices: { 'gpu-t4': 450 } }).priceUsdPerHour).toBeCloseTo(1.62, 9);
    expect(marginOf('gpu-t4', { prices: { 'gpu-t4': 0 } })).toMatchObject({
      marginPercent: -100,
      alwaysOnHoursPerDay: undefined,
    });
  });

  test('goes by the price of spot where the tier is of spot machines', () => {
    const tier = marginOf('gpu-t4', { tiers: { 'gpu-t4': { max: 1, capacity: 'spot' } } });

    expect(tier.machineUsdPerHour).toBe(0.215);
  });
});

describe('tiers that are off', () => {
  test('say why, and what they would be', () => {
    const off = tiersThatAreOff(configOf({ tiers: { cpu: { max: 1 } } }));

    expect(off.map(({ sku }) => sku)).not.toContain('cpu');
    expect(off.find(({ sku }) => sku === 'gpu-a100-large')).toMatchObject({
      why: expect.stringContaining('switched off'),
      would: { gpus: 8, machineUsdPerHour: 27.44705 },
    });
  });

  test('would be nothing where the region does not sell their machines', () => {
    const off = tiersThatAreOff(configOf({ tiers: { 'gpu-a40-small': { max: 1 } } }, 'eu-west-1'));

    expect(off.find(({ sku }) => sku === 'gpu-a40-small')).toEqual({
      sku: 'gpu-a40-small',
      why: expect.stringContaining('does not sell g6e.xlarge'),
      would: undefined,
    });
  });
});
