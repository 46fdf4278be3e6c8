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

test('what is too small for a version is told with the SKUs that hold it', () => {
  const catalogue = new HardwareCatalogue();

  expect(catalogue.whyTooSmall('gpu-t4', 16)).toBeUndefined();
  expect(catalogue.whyTooSmall('gpu-t4', undefined)).toBeUndefined();
  expect(catalogue.whyTooSmall('gpu-t4', 16.5)).toMatch(/and gpu-t4 has 16 GB; choose one of gpu-a40-small,/);
  expect(catalogue.whyTooSmall('cpu', 1)).toMatch(/and cpu has no GPU; choose one of gpu-t4,/);
  expect(catalogue.whyTooSmall('gpu-h100', 81)).toBe(
    'It needs 81 GB of GPU memory, and gpu-h100 has 80 GB; no hardware here has more than 80 GB.',
  );
});

test('GPUs of one machine hold a version together', () => {
  const [, t4] = defaultHardware;
  if (!t4?.gpu) throw new Error('no T4');
  const pair = { ...t4, sku: 'gpu-t4-2x', gpu: { ...t4.gpu, count: 2 } };

  expect(new HardwareCatalogue({}, [t4, pair]).whyTooSmall('gpu-t4-2x', 32)).toBeUndefined();
  expect(new HardwareCatalogue({}, [t4, pair]).whyTooSmall('gpu-t4', 32)).toMatch(
    /choose one of gpu-t4-2x\./,
  );
});
