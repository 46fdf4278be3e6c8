import { resourcePolicy } from '../policy.ts';
import { at } from '../resource.ts';
import { whereEnvironment } from '../settings.ts';

export const tableBackups = resourcePolicy({
  name: 'table-backups',
  description: 'In production, a table should be restorable to any second of its last days.',
  enforcement: 'mandatory',
  settings: { production: whereEnvironment('Environments that go by the rules of production', ['prod']) },
  types: ['aws:dynamodb/table:Table'],
  check({ props }, { settings: { production } }) {
    if (!production || at(props, 'pointInTimeRecovery', 'enabled') === true) return [];
    return ['cannot be restored; set pointInTimeRecovery.enabled to true, by protection.tableBackupDays'];
  },
});
