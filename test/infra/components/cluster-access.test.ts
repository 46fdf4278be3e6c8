import { expect, it } from 'vitest';
import { refuseTwice } from '../../../infra/components/cluster-access.ts';

const runner = 'arn:aws:iam::123456789012:role/deploy';

it('who runs the program is not named as another administrator, of which EKS takes one entry', () => {
  expect(refuseTwice(runner, ['arn:aws:iam::123456789012:role/platform'])).toBe(runner);
  expect(() => refuseTwice(runner, [runner])).toThrow(
    'cluster.administrators names arn:aws:iam::123456789012:role/deploy',
  );
});
