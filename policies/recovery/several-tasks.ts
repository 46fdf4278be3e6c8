import { resourcePolicy } from '../policy.ts';
import { at } from '../resource.ts';
import { numberByEnvironment } from '../settings.ts';

const targetType = 'aws:appautoscaling/target:Target';

export const severalTasks = resourcePolicy({
  name: 'several-tasks',
  description: 'In production, the api should have at least two tasks, so that one may fail or be replaced.',
  enforcement: 'mandatory',
  settings: {
    tasks: numberByEnvironment('Tasks of a service at least', { dev: 1, staging: 1, prod: 2 }),
  },
  types: ['aws:ecs/service:Service', 'awsx:ecs:FargateService', targetType],
  check({ type, props }, { environment, settings: { tasks } }) {
    const property = type === targetType ? 'minCapacity' : 'desiredCount';
    if (type === targetType && at(props, 'serviceNamespace') !== 'ecs') return [];
    // What the engine expanded has its service as a child, which is looked at by itself.
    if (at(props, 'service') !== undefined) return [];
    const count = at(props, property);
    if (typeof count === 'number' && count >= tasks) return [];
    // Without a number ECS starts one.
    if (count === undefined && tasks <= 1) return [];
    return [
      `has fewer tasks than the ${tasks} of ${environment}; set ${property} to a literal number of at least that, by api.min`,
    ];
  },
});
