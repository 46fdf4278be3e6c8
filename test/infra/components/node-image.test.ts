import { expect, it } from 'vitest';
import { mockCall } from '../../../infra/plan/mock-outputs.ts';
import { record } from '../../../infra/plan/record.ts';

it.each([
  ['AL2023_ARM_64_STANDARD', 'arm64/standard'],
  ['AL2023_x86_64_STANDARD', 'x86_64/standard'],
  ['AL2023_x86_64_NVIDIA', 'x86_64/nvidia'],
] as const)('of %s AWS is asked for the newest release, which is no secret', async (amiType, family) => {
  const asked: unknown[] = [];
  const { result } = await record(
    async () => {
      const { newestNodeImage } = await import('../../../infra/components/node-image.ts');
      const image = newestNodeImage(amiType, '1.36', {});
      return {
        ...image,
        isSecret: await (image.releaseVersion as unknown as { isSecret: Promise<boolean> }).isSecret,
      };
    },
    {
      project: 'mimeo',
      environment: 'dev',
      call: (args) => {
        asked.push(args.inputs.name);
        return mockCall(args);
      },
    },
  );

  expect(asked).toEqual([
    `/aws/service/eks/optimized-ami/1.36/amazon-linux-2023/${family}/recommended/release_version`,
  ]);
  expect(result).toEqual({ amiType, version: '1.36', releaseVersion: '1.36.2-20260714', isSecret: false });
});
