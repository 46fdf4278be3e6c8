import * as aws from '@pulumi/aws';
import * as pulumi from '@pulumi/pulumi';
import { dynamoTableSchema, expiryAttribute } from '../../services/ports/table/dynamodb-schema.ts';
import type { StackConfig } from '../config.ts';
import { physicalName } from '../names.ts';
import { Component, type StackIdentity } from './component.ts';
import { type Grantee, grant } from './grant.ts';

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

  /** Every call of the table's adapter; a transaction is allowed by the actions in it. */
  public grantReadWrite(grantee: Grantee): void {
    const indexes = dynamoTableSchema.GlobalSecondaryIndexes.map(
      ({ IndexName }) => pulumi.interpolate`${this.arn}/index/${IndexName}`,
    );
    grant(
      this.childName('read-write'),
      grantee,
      [
        {
          actions: [
            'dynamodb:BatchGetItem',
            'dynamodb:ConditionCheckItem',
            'dynamodb:DeleteItem',
            'dynamodb:GetItem',
            'dynamodb:PutItem',
            'dynamodb:UpdateItem',
          ],
          resources: [this.arn],
        },
        { actions: ['dynamodb:Query'], resources: [this.arn, ...indexes] },
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
