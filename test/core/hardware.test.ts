import { expect, test } from 'vitest';
import { defaultHardware, HardwareCatalogue, hardwareSchema } from '../../services/core/hardware.ts';

test('every hardware that comes with Mimeo is valid and has a SKU of its own', () => {
  for (const hardware of defaultHardware) expect(hardwareSchema.parse(hardware)).toEqual(hardware);
  expect(new Set(defaultHardware.map(({ sku }) => sku)).size).toBe(defaultHardware.length);
});

test('a price of one’s own replaces the default one of that SKU alone', () => {
  const catalogue = new HardwareCatalogue({ 'gpu-t4': 1 });

  expect(catalogue.find('gpu-t4')?.microUsdPerSecond).toBe(1);
  expect(catalogue.find('cpu')).toEqual(new HardwareCatalogue().find('cpu'));
});

test('a price for hardware that there is not is refused by name', () => {
  expect(() => new HardwareCatalogue({ 'gpu-t5': 1, cpu: 2 })).toThrow(/gpu-t5; the SKUs are cpu, gpu-t4/);
});

test('hardware that there is not is not found', () => {
  expect(new HardwareCatalogue().find('gpu-t5')).toBeUndefined();
});
