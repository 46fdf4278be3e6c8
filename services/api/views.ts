import type { Account } from '../core/account.ts';
import { failureKinds } from '../core/errors.ts';
import type { Hardware } from '../core/hardware.ts';
import { hasEnded, type Job } from '../core/job.ts';
import type { Model } from '../core/model.ts';
import type { Version } from '../core/version.ts';
import type { JobRecord } from '../data/jobs.ts';
import type { Progress } from '../data/progress.ts';
import type { ModelBody, PredictionBody, VersionBody } from './schemas.ts';

/** What is shown in place of a secret input. */
const redacted = '**********';

/** What a prediction's body needs beside its record. */
export interface PredictionContext {
  /** Of this server, as its clients reach it, without a slash at the end. */
  readonly publicUrl: string;
  /** A signed URL; undefined where the version does not stream. */
  readonly streamUrl: string | undefined;
  /** What the running attempt has put out so far. */
  readonly progress: Progress | undefined;
  readonly waiting: PredictionBody['waiting'];
}

export function predictionBody(record: JobRecord, context: PredictionContext): PredictionBody {
  const { job } = record;
  const result = job.status === 'processing' ? (context.progress ?? record.result) : record.result;
  const url = `${context.publicUrl}/v1/predictions/${job.id}`;
  return {
    id: job.id,
    model: job.model,
    version: job.version,
    ...(job.deployment === null ? {} : { deployment: job.deployment }),
    input: shownInput(record),
    output: result?.output ?? null,
    logs: result?.logs ?? '',
    error: job.status === 'failed' ? (job.failure?.message ?? 'The prediction failed.') : null,
    status: job.status,
    source: job.source,
    data_removed: job.dataRemoved,
    omitted: record.omitted && [...record.omitted],
    created_at: isoTime(job.createdAt),
    started_at: job.startedAt === null ? null : isoTime(job.startedAt),
    completed_at: job.completedAt === null ? null : isoTime(job.completedAt),
    metrics: { ...record.result?.metrics, ...timings(job) },
    urls: { get: url, cancel: `${url}/cancel`, stream: context.streamUrl },
    waiting: context.waiting,
    ...failureFields(job),
    cost: {
      sku: job.hardware,
      micro_usd_per_second: job.microUsdPerSecond,
      billed_seconds: job.billedMs === null ? null : job.billedMs / 1000,
      micro_usd: job.costMicroUsd,
    },
  };
}

function shownInput({ input, secrets }: JobRecord): Record<string, unknown> {
  if (secrets.length === 0) return input;
  return Object.fromEntries(
    Object.entries(input).map(([name, value]) => [name, secrets.includes(name) ? redacted : value]),
  );
}

function timings(job: Job): Record<string, number> {
  if (!hasEnded(job.status) || job.completedAt === null) return {};
  const total = { total_time: (job.completedAt - job.createdAt) / 1000 };
  if (job.startedAt === null) return total;
  return { predict_time: (job.predictMs ?? job.billedMs ?? 0) / 1000, ...total };
}

function failureFields({ failure }: Job): Pick<PredictionBody, 'code' | 'fault' | 'retryable'> {
  return failure ? { code: failure.code, ...failureKinds[failure.code] } : {};
}

export function versionBody(version: Version): VersionBody {
  return {
    id: version.id,
    created_at: isoTime(version.createdAt),
    cog_version: version.cogVersion,
    openapi_schema: version.openapiSchema,
    ...(version.gpuMemoryGb !== undefined && { gpu_memory_gb: version.gpuMemoryGb }),
    ...(version.breakingChanges && { breaking_changes: version.breakingChanges }),
  };
}

export function modelBody(
  model: Model,
  context: {
    readonly publicUrl: string;
    readonly runCount: number;
    readonly latest: Version | undefined;
    readonly example: PredictionBody | undefined;
  },
): ModelBody {
  return {
    url: `${context.publicUrl}/${model.owner}/${model.name}`,
    owner: model.owner,
    name: model.name,
    description: model.description,
    visibility: model.visibility,
    hardware: model.hardware,
    github_url: model.githubUrl,
    paper_url: model.paperUrl,
    license_url: model.licenseUrl,
    weights_url: model.weightsUrl ?? null,
    run_count: context.runCount,
    cover_image_url: model.coverImageUrl,
    default_example: context.example ?? null,
    latest_version: context.latest ? versionBody(context.latest) : null,
    is_official: false,
  };
}

export function hardwareBody(hardware: Hardware) {
  const { gpu, microUsdPerSecond } = hardware;
  return {
    name: hardware.name,
    sku: hardware.sku,
    gpu: gpu && { model: gpu.model, count: gpu.count, memory_gb: gpu.memoryGb },
    cpus: hardware.cpus,
    memory_gb: hardware.memoryGb,
    best_for: hardware.bestFor,
    price: {
      micro_usd_per_second: microUsdPerSecond,
      usd_per_second: microUsdPerSecond / 1e6,
      usd_per_hour: (microUsdPerSecond * 3600) / 1e6,
    },
  };
}

export function accountBody(account: Account) {
  return {
    type: account.type,
    username: account.username,
    name: account.name,
    github_url: account.githubUrl,
    avatar_url: account.avatarUrl,
  };
}

/** ISO 8601 with microseconds, as the clients know it. */
export function isoTime(epochMs: number): string {
  return `${new Date(epochMs).toISOString().slice(0, -1)}000Z`;
}
