import { PolicyPack } from '@pulumi/policy';
import { monthlyUsd, priceResources } from '../infra/plan/price/index.ts';
import { createPolicies } from './pack.ts';
import { costBy } from './pricing.ts';

new PolicyPack('mimeo', { policies: [...createPolicies(costBy({ priceResources, monthlyUsd }))] });
