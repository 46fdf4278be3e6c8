import { z } from 'zod';
import { hasEnded, type Job } from './job.ts';

/** One line of the ledger: one for each job that ended, however it ended. Its id is the job's. */
export const usageRecordSchema = z.object({
  id: z.string(),
  account: z.string(),
  token: z.string(),
  model: z.string(),
  version: z.string(),
  deployment: z.string().nullable(),
  hardware: z.string(),
  status: z.enum(['succeeded', 'failed', 'canceled']),
  endedAt: z.number(),
  billedMs: z.int().nonnegative(),
  microUsdPerSecond: z.int().nonnegative(),
  costMicroUsd: z.int().nonnegative(),
});
export type UsageRecord = z.infer<typeof usageRecordSchema>;

/** The record that a job should have; undefined while it has not ended. Recomputed to verify the ledger. */
export function usageRecordOf(job: Job): UsageRecord | undefined {
  if (!hasEnded(job.status) || job.completedAt === null) return undefined;
  return {
    id: job.id,
    account: job.account,
    token: job.token,
    model: job.model,
    version: job.version,
    deployment: job.deployment,
    hardware: job.hardware,
    status: job.status as UsageRecord['status'],
    endedAt: job.completedAt,
    billedMs: job.billedMs ?? 0,
    microUsdPerSecond: job.microUsdPerSecond,
    costMicroUsd: job.costMicroUsd ?? 0,
  };
}

/** The month, UTC, that a time is billed in: `2026-11`. */
export function billingMonth(epochMs: number): string {
  return new Date(epochMs).toISOString().slice(0, 7);
}
