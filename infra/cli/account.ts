import {
  GetAWSDefaultServiceQuotaCommand,
  GetServiceQuotaCommand,
  NoSuchResourceException,
  ServiceQuotasClient,
} from '@aws-sdk/client-service-quotas';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';

/** What AWS says of who is asking. */
export interface Account {
  /** Who; or why AWS does not say. */
  readonly identity: { readonly account: string; readonly arn: string } | { readonly problem: string };
  /** Values by the quota's code; or why one cannot be read. */
  readonly quotas: Readonly<Record<string, number | { readonly problem: string }>>;
}

/** What Service Quotas knows a quota by. */
export interface QuotaKey {
  /** Such as ec2. */
  readonly service: string;
  /** Such as L-DB2E81BA. */
  readonly code: string;
}

/** Asks AWS in the stack's region, by the credentials that Pulumi will use. Never throws. */
export async function lookAtAccount(region: string, wanted: readonly QuotaKey[]): Promise<Account> {
  const sts = new STSClient({ region, maxAttempts: 2 });
  const serviceQuotas = new ServiceQuotasClient({ region, maxAttempts: 2 });
  try {
    const { Account = '', Arn = '' } = await sts.send(new GetCallerIdentityCommand({}));
    const values = await Promise.all(
      wanted.map(async (key) => [key.code, await quotaOf(serviceQuotas, key).catch(problemOf)] as const),
    );
    return { identity: { account: Account, arn: Arn }, quotas: Object.fromEntries(values) };
  } catch (error) {
    return { identity: problemOf(error), quotas: {} };
  } finally {
    sts.destroy();
    serviceQuotas.destroy();
  }
}

/** An account that never asked for another value has the default one. */
async function quotaOf(client: ServiceQuotasClient, { service, code }: QuotaKey): Promise<number> {
  const input = { ServiceCode: service, QuotaCode: code };
  const { Quota } = await client.send(new GetServiceQuotaCommand(input)).catch((error: unknown) => {
    if (error instanceof NoSuchResourceException) {
      return client.send(new GetAWSDefaultServiceQuotaCommand(input));
    }
    throw error;
  });
  return Quota?.Value ?? 0;
}

function problemOf(error: unknown): { readonly problem: string } {
  return { problem: error instanceof Error ? `${error.name}: ${error.message}` : String(error) };
}
