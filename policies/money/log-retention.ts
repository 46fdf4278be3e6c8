import { resourcePolicy } from '../policy.ts';
import { at, isGiven } from '../resource.ts';
import { numberByEnvironment } from '../settings.ts';

export const logRetention = resourcePolicy({
  name: 'log-retention',
  description:
    'A log group should keep its logs for a stated number of days, because the default is for ever.',
  enforcement: 'mandatory',
  settings: {
    maxDays: numberByEnvironment('Days at most', { dev: 90, staging: 180, prod: 731 }),
  },
  types: ['aws:cloudwatch/logGroup:LogGroup', 'awsx:ecs:FargateService', 'awsx:ecs:FargateTaskDefinition'],
  check({ type, props }, { environment, settings: { maxDays } }) {
    if (type === 'aws:cloudwatch/logGroup:LogGroup')
      return mistakes(at(props, 'retentionInDays'), environment, maxDays);
    const task = type === 'awsx:ecs:FargateService' ? at(props, 'taskDefinitionArgs') : props;
    // One that exists has been looked at itself; without arguments awsx makes one that keeps logs for ever.
    if (task === undefined || isGiven(task, 'logGroup', 'existing') || at(task, 'logGroup', 'skip') === true)
      return [];
    return mistakes(at(task, 'logGroup', 'args', 'retentionInDays'), environment, maxDays);
  },
});

function mistakes(days: unknown, environment: string, maxDays: number): readonly string[] {
  if (typeof days !== 'number' || days === 0) {
    return ['keeps logs for ever; set retentionInDays to a literal number of days'];
  }
  if (days <= maxDays) return [];
  return [
    `keeps logs for ${days} days, over the ${maxDays} of ${environment}; lower logs.retentionDays, or raise maxDays`,
  ];
}
