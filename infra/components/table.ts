import * as aws from '@pulumi/aws';
import * as pulumi from '@pulumi/pulumi';
import { dynamoTableSchema, expiryAttribute } from '../../services/ports/table/dynamodb-schema.ts';
import type { StackConfig } from '../config.ts';
import { physicalName } from '../names.ts';
import { Component, type StackIdentity } from './component.ts';
import { type Grantee, grant } from './grant.ts';

/** What a service asks of items. A transaction needs what its parts do; `UpdateItem` is how counters are added to. */
export type ItemAction =
  | 'BatchGetItem'
  | 'ConditionCheckItem'
  | 'DeleteItem'
  | 'GetItem'
  | 'PutItem'
  | 'Query'
  | 'UpdateItem';

export interface TableArgs {
  readonly identity: StackIdentity;
  /** Whether it refuses to be deleted, and for how many days back it can be restored. */
  readonly protection: StackConfig['protection'];
}

/** Where all state lies: a DynamoDB table on demand, of the schema that its adapter and the tests use. */
export class Table extends Component {
  public readonly name: pulumi.Output<string>;
  public readonly arn: pulumi.Output<string>;
  /** Of its change feed. */
  public readonly streamArn: pulumi.Output<string>;

  constructor(name: string, args: TableArgs, opts?: pulumi.ComponentResourceOptions) {
    super('Table', name, opts);
    const { project, environment } = args.identity;
    const { deletion, tableBackupDays } = args.protection;
    const table = new aws.dynamodb.Table(
      this.childName('items'),
      {
        name: physicalName('table', project, environment),
        ...tableSchema(),
        ttl: { attributeName: expiryAttribute, enabled: true },
        // By AWS's key of the account, whose use its trail shows; DynamoDB's own key shows nothing.
        serverSideEncryption: { enabled: true },
        pointInTimeRecovery: {
          enabled: tableBackupDays > 0,
          ...(tableBackupDays > 0 && { recoveryPeriodInDays: tableBackupDays }),
        },
        deletionProtectionEnabled: deletion,
      },
      this.child({ protect: deletion, retainOnDelete: deletion }),
    );
    this.name = table.name;
    this.arn = table.arn;
    this.streamArn = table.streamArn;
    this.registerOutputs({ name: this.name, arn: this.arn, streamArn: this.streamArn });
  }

  /** To do with items what its code does; queries go by the indexes as well. */
  public grant(grantee: Grantee, does: readonly ItemAction[]): void {
    const { arn } = this;
    const indexes = dynamoTableSchema.GlobalSecondaryIndexes.map(
      ({ IndexName }) => pulumi.interpolate`${arn}/index/${IndexName}`,
    );
    const items = does.filter((action) => action !== 'Query').map((action) => `dynamodb:${action}`);
    grant(
      this.childName('items'),
      grantee,
      [
        { actions: items, resources: [arn] },
        ...(does.includes('Query') ? [{ actions: ['dynamodb:Query'], resources: [arn, ...indexes] }] : []),
      ],
      this.child(),
    );
  }

  /** What Lambda needs of a function's role to call it with changes. */
  public grantStream(grantee: Grantee): void {
    grant(
      this.childName('stream'),
      grantee,
      [
        {
          actions: ['dynamodb:DescribeStream', 'dynamodb:GetRecords', 'dynamodb:GetShardIterator'],
          resources: [this.streamArn],
        },
        { actions: ['dynamodb:ListStreams'], resources: ['*'], why: 'ListStreamsTakesNoResource' },
      ],
      this.child(),
    );
  }
}

/** The adapter's schema in Pulumi's words. */
function tableSchema() {
  const { AttributeDefinitions, BillingMode, GlobalSecondaryIndexes, KeySchema, StreamSpecification } =
    dynamoTableSchema;
  return {
    billingMode: BillingMode,
    attributes: AttributeDefinitions.map(({ AttributeName: name, AttributeType: type }) => ({ name, type })),
    hashKey: KeySchema[0].AttributeName,
    rangeKey: KeySchema[1].AttributeName,
    globalSecondaryIndexes: GlobalSecondaryIndexes.map(({ IndexName, KeySchema: keys, Projection }) => ({
      name: IndexName,
      hashKey: keys[0]?.AttributeName,
      rangeKey: keys[1]?.AttributeName,
      projectionType: Projection.ProjectionType,
      nonKeyAttributes: [...Projection.NonKeyAttributes],
    })),
    streamEnabled: StreamSpecification.StreamEnabled,
    streamViewType: StreamSpecification.StreamViewType,
  };
}
