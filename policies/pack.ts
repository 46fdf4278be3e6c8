import { blockedBuckets } from './access/blocked-buckets.ts';
import { clusterAccessEntries } from './access/cluster-access-entries.ts';
import { managedPolicies } from './access/managed-policies.ts';
import { noMetadataForPods } from './access/no-metadata-for-pods.ts';
import { noOpenIngress } from './access/no-open-ingress.ts';
import { noPlainSecrets } from './access/no-plain-secrets.ts';
import { noPublicPrincipals } from './access/no-public-principals.ts';
import { noUnexplainedWildcards } from './access/no-unexplained-wildcards.ts';
import { noWildcardActions } from './access/no-wildcard-actions.ts';
import { privateClusterEndpoint } from './access/private-cluster-endpoint.ts';
import { privateFunctions } from './access/private-functions.ts';
import { signedReads } from './access/signed-reads.ts';
import { encryptedBuckets } from './encryption/encrypted-buckets.ts';
import { encryptedClusterSecrets } from './encryption/encrypted-cluster-secrets.ts';
import { encryptedDisks } from './encryption/encrypted-disks.ts';
import { encryptedQueues } from './encryption/encrypted-queues.ts';
import { encryptedRepositories } from './encryption/encrypted-repositories.ts';
import { encryptedTables } from './encryption/encrypted-tables.ts';
import { rotatedKeys } from './encryption/rotated-keys.ts';
import { arm64Functions } from './money/arm64-functions.ts';
import { cacheLimits } from './money/cache-limits.ts';
import { capacityTypes } from './money/capacity-types.ts';
import { controlPlaneTier } from './money/control-plane-tier.ts';
import { costTags } from './money/cost-tags.ts';
import { gpuInstanceTypes } from './money/gpu-instance-types.ts';
import { gpuScaleToZero } from './money/gpu-scale-to-zero.ts';
import { idleCeiling } from './money/idle-ceiling.ts';
import { logRetention } from './money/log-retention.ts';
import { machineTags } from './money/machine-tags.ts';
import { monthlyBudget } from './money/monthly-budget.ts';
import { natCount } from './money/nat-count.ts';
import { noCapacityReservations } from './money/no-capacity-reservations.ts';
import { noExtendedSupport } from './money/no-extended-support.ts';
import { noProvisionedThroughput } from './money/no-provisioned-throughput.ts';
import { peakCeiling } from './money/peak-ceiling.ts';
import { skuPrices } from './money/sku-prices.ts';
import { tierMaxNodes } from './money/tier-max-nodes.ts';
import { tierTags } from './money/tier-tags.ts';
import { totalGpus } from './money/total-gpus.ts';
import { warmPoolsStopped } from './money/warm-pools-stopped.ts';
import { functionRuntimes } from './platform/function-runtimes.ts';
import { immutableImages } from './platform/immutable-images.ts';
import { regions } from './platform/regions.ts';
import type { Policy } from './policy.ts';
import type { MonthlyCost } from './pricing.ts';
import { asyncFunctionsDeadLetter } from './recovery/async-functions-dead-letter.ts';
import { deletionProtection } from './recovery/deletion-protection.ts';
import { eventSourcesBounded } from './recovery/event-sources-bounded.ts';
import { queuesDeadLetter } from './recovery/queues-dead-letter.ts';
import { severalTasks } from './recovery/several-tasks.ts';
import { severalZones } from './recovery/several-zones.ts';
import { tableBackups } from './recovery/table-backups.ts';
import { targetsDeadLetter } from './recovery/targets-dead-letter.ts';
import { tlsDistributions } from './transport/tls-distributions.ts';
import { tlsListeners } from './transport/tls-listeners.ts';
import { tlsOnlyStores } from './transport/tls-only-stores.ts';

/**
 * Every policy of the pack, money first.
 * @param monthlyCost prices a stack, for the two ceilings
 */
export function createPolicies(monthlyCost: MonthlyCost): readonly Policy[] {
  return [
    idleCeiling(monthlyCost),
    peakCeiling(monthlyCost),
    gpuInstanceTypes,
    tierMaxNodes,
    totalGpus,
    gpuScaleToZero,
    warmPoolsStopped,
    capacityTypes,
    noCapacityReservations,
    cacheLimits,
    noProvisionedThroughput,
    controlPlaneTier,
    noExtendedSupport,
    natCount,
    logRetention,
    costTags,
    machineTags,
    tierTags,
    skuPrices,
    monthlyBudget,
    arm64Functions,
    blockedBuckets,
    noOpenIngress,
    noPublicPrincipals,
    noWildcardActions,
    noUnexplainedWildcards,
    managedPolicies,
    noPlainSecrets,
    privateFunctions,
    privateClusterEndpoint,
    clusterAccessEntries,
    noMetadataForPods,
    signedReads,
    encryptedBuckets,
    encryptedQueues,
    encryptedTables,
    encryptedDisks,
    encryptedRepositories,
    encryptedClusterSecrets,
    rotatedKeys,
    tlsOnlyStores,
    tlsListeners,
    tlsDistributions,
    queuesDeadLetter,
    eventSourcesBounded,
    targetsDeadLetter,
    asyncFunctionsDeadLetter,
    deletionProtection,
    tableBackups,
    severalZones,
    severalTasks,
    regions,
    functionRuntimes,
    immutableImages,
  ];
}
