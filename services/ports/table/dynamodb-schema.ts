import type { CreateTableCommandInput } from '@aws-sdk/client-dynamodb';
import { type IndexName, indexNames } from './port.ts';

/** The attribute after whose time (epoch seconds) DynamoDB may remove an item. */
export const expiryAttribute = 'expiresAt';

/** The attributes that put an item under a secondary key. */
export function indexAttributes(index: IndexName): { readonly pk: string; readonly sk: string } {
  return { pk: `${index}Pk`, sk: `${index}Sk` };
}

/**
 * The table as CreateTable takes it, but for its name: on demand, three sparse indexes that hold keys only (and the
 * expiry, so that what has expired is neither found nor counted), and a stream of new images.
 */
export const dynamoTableSchema = {
  BillingMode: 'PAY_PER_REQUEST',
  AttributeDefinitions: [
    { AttributeName: 'pk', AttributeType: 'S' },
    { AttributeName: 'sk', AttributeType: 'S' },
    ...indexNames
      .map(indexAttributes)
      .flatMap(({ pk, sk }) =>
        [pk, sk].map((AttributeName) => ({ AttributeName, AttributeType: 'S' as const })),
      ),
  ],
  KeySchema: [
    { AttributeName: 'pk', KeyType: 'HASH' },
    { AttributeName: 'sk', KeyType: 'RANGE' },
  ],
  GlobalSecondaryIndexes: indexNames.map((IndexName) => ({
    IndexName,
    KeySchema: [
      { AttributeName: indexAttributes(IndexName).pk, KeyType: 'HASH' as const },
      { AttributeName: indexAttributes(IndexName).sk, KeyType: 'RANGE' as const },
    ],
    Projection: { ProjectionType: 'INCLUDE' as const, NonKeyAttributes: [expiryAttribute] },
  })),
  StreamSpecification: { StreamEnabled: true, StreamViewType: 'NEW_IMAGE' },
} as const satisfies Omit<CreateTableCommandInput, 'TableName'>;
