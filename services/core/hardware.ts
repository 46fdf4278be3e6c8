import { z } from 'zod';
import { ProblemError } from './errors.ts';

/**
 * What a user may run on, and what a second of it costs.
 * Memory figures and prices: https://replicate.com/pricing and https://replicate.com/docs/billing (stored copies
 * read 2026-11-21); `gpu-a100-small` from the latter, the only page that still lists the 40 GB card.
 */
export const hardwareSchema = z.strictObject({
  sku: z.string().regex(/^[a-z0-9-]{1,40}$/),
  name: z.string().min(1),
  /** null where there is no GPU. */
  gpu: z
    .strictObject({ model: z.string(), count: z.int().positive(), memoryGb: z.int().positive() })
    .nullable(),
  cpus: z.int().positive(),
  memoryGb: z.int().positive(),
  bestFor: z.string(),
  /** Integer micro-dollars (1e-6 USD) for one second of running. */
  microUsdPerSecond: z.int().nonnegative(),
});
export type Hardware = z.infer<typeof hardwareSchema>;

export const defaultHardware: readonly Hardware[] = [
  {
    sku: 'cpu',
    name: 'CPU',
    gpu: null,
    cpus: 4,
    memoryGb: 8,
    bestFor: 'lightweight tasks',
    microUsdPerSecond: 100,
  },
  gpu('gpu-t4', 'Nvidia T4 GPU', 'T4', 16, 4, 16, 'inference with small models', 225),
  gpu('gpu-a40-small', 'Nvidia A40 GPU', 'A40', 48, 4, 16, 'medium models with modest CPU needs', 575),
  gpu('gpu-a40-large', 'Nvidia A40 (Large) GPU', 'A40', 48, 10, 72, 'medium models', 725),
  gpu('gpu-l40s', 'Nvidia L40S GPU', 'L40S', 48, 10, 65, 'fast inference with medium models', 975),
  gpu('gpu-a100-small', 'Nvidia A100 (40GB) GPU', 'A100', 40, 10, 72, 'large models', 1150),
  gpu('gpu-a100-large', 'Nvidia A100 (80GB) GPU', 'A100', 80, 10, 144, 'very large models', 1400),
  gpu('gpu-h100', 'Nvidia H100 GPU', 'H100', 80, 13, 72, 'very large models and training', 1525),
];

function gpu(
  sku: string,
  name: string,
  model: string,
  gpuMemoryGb: number,
  cpus: number,
  memoryGb: number,
  bestFor: string,
  microUsdPerSecond: number,
): Hardware {
  return {
    sku,
    name,
    gpu: { model, count: 1, memoryGb: gpuMemoryGb },
    cpus,
    memoryGb,
    bestFor,
    microUsdPerSecond,
  };
}

/** GPU memory of one instance, GB, in sum over its GPUs; 0 where there is none. */
function gpuMemoryGbOf({ gpu: card }: Hardware): number {
  return card === null ? 0 : card.count * card.memoryGb;
}

/** The hardware of one environment, in the order in which it is listed. */
export class HardwareCatalogue {
  readonly all: readonly Hardware[];

  /**
   * @param prices micro-dollars per second by SKU, replacing the default ones
   * @throws Error naming each unknown SKU
   */
  constructor(
    prices: Readonly<Record<string, number>> = {},
    hardware: readonly Hardware[] = defaultHardware,
  ) {
    const unknown = Object.keys(prices).filter((sku) => !hardware.some((known) => known.sku === sku));
    if (unknown.length > 0) {
      const known = hardware.map(({ sku }) => sku).join(', ');
      throw new Error(`No hardware is called ${unknown.join(', ')}; the SKUs are ${known}`);
    }
    this.all = hardware.map((item) => ({
      ...item,
      microUsdPerSecond: prices[item.sku] ?? item.microUsdPerSecond,
    }));
  }

  find(sku: string): Hardware | undefined {
    return this.all.find((item) => item.sku === sku);
  }

  /** @throws ProblemError `invalid_body` naming the SKUs that there are */
  require(sku: string): Hardware {
    const found = this.find(sku);
    if (found) return found;
    const skus = this.all.map((item) => item.sku).join(', ');
    throw new ProblemError(
      'invalid_body',
      `- hardware: ${sku.slice(0, 100)} is not offered here; choose one of ${skus}`,
    );
  }

  /**
   * Why a version cannot run on a SKU for want of GPU memory, in a sentence that names the SKUs that can hold it.
   * @param gpuMemoryGb what one instance needs; undefined where the version does not say
   * @returns undefined where it can, or where there is no such SKU
   */
  whyTooSmall(sku: string, gpuMemoryGb: number | undefined): string | undefined {
    const hardware = this.find(sku);
    if (gpuMemoryGb === undefined || !hardware || gpuMemoryGbOf(hardware) >= gpuMemoryGb) return undefined;
    const needs = `It needs ${gpuMemoryGb} GB of GPU memory, and`;
    const has = hardware.gpu ? `${sku} has ${gpuMemoryGbOf(hardware)} GB` : `${sku} has no GPU`;
    const holding = this.holding(gpuMemoryGb).map((item) => item.sku);
    if (holding.length > 0) return `${needs} ${has}; choose one of ${holding.join(', ')}.`;
    const most = Math.max(...this.all.map(gpuMemoryGbOf));
    return `${needs} ${has}; no hardware here has more than ${most} GB.`;
  }

  /** Hardware that can hold a version, in the catalogue's order. */
  holding(gpuMemoryGb: number): readonly Hardware[] {
    return this.all.filter((item) => gpuMemoryGbOf(item) >= gpuMemoryGb);
  }
}
