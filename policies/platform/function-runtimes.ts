import { resourcePolicy } from '../policy.ts';
import { textAt } from '../resource.ts';
import { list } from '../settings.ts';

export const functionRuntimes = resourcePolicy({
  name: 'function-runtimes',
  description: 'A function should run on a runtime that AWS supports.',
  enforcement: 'mandatory',
  settings: {
    runtimes: list('Runtimes of Lambda that functions may have', ['nodejs22.x', 'nodejs24.x']),
  },
  types: ['aws:lambda/function:Function'],
  check({ props }, { settings: { runtimes } }) {
    if (textAt(props, 'packageType') === 'Image') return [];
    const runtime = textAt(props, 'runtime');
    if (runtime !== undefined && runtimes.includes(runtime)) return [];
    return [`has the runtime ${runtime ?? 'that is not literal'}; take ${runtimes.join(' or ')}`];
  },
});
