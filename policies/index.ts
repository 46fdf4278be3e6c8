import { PolicyPack } from '@pulumi/policy';
import { createPolicies } from './pack.ts';

new PolicyPack('mimeo', { policies: [...createPolicies()], enforcementLevel: 'mandatory' });
