import { z } from 'zod';
import { compileInput } from '../core/input.ts';
import { TimeLimitError, withTimeLimit } from '../core/time-limit.ts';
import { gpuMemoryGbSchema, gpuMemoryLabel, outputStreams, type Version } from '../core/version.ts';

/** ECR takes no larger manifest. */
export const maxManifestBytes = 4 * 1024 * 1024;
/** An image's config holds its labels and the history of its layers. */
export const maxConfigBytes = 4 * 1024 * 1024;
/** With the rest of a version this fits an item of the Table. */
const maxSchemaBytes = 256 * 1024;
/** What Cog writes has about ten levels. */
const maxSchemaDepth = 64;
const maxCogVersionLength = 100;
/** Every api process does the same before a first prediction, and 3 KB can take hours; Cog's take milliseconds. */
const compileLimitMs = 2000;

/** Why an image cannot become a version, for the person who pushed it: what is wrong and how to mend it. */
export class ImageRefusal extends Error {
  override name = 'ImageRefusal';
}

/** What a registry may be asked for. */
export const manifestMediaTypes = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v2+json',
] as const;

/** Configs of images; anything else is the config of an artefact, such as a SOCI index or a chart. */
const configMediaTypes: readonly string[] = [
  'application/vnd.oci.image.config.v1+json',
  'application/vnd.docker.container.image.v1+json',
];

const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/);
const annotations = z.record(z.string(), z.string()).nullish();
const descriptor = z.object({ mediaType: z.string().default(''), digest, size: z.number().optional() });

/** An OCI image index, or Docker's manifest list. */
const indexSchema = z.object({
  manifests: z
    .array(
      descriptor.extend({
        artifactType: z.string().nullish(),
        annotations,
        platform: z.object({ os: z.string(), architecture: z.string() }).nullish(),
      }),
    )
    .max(1000),
});

/** An OCI image manifest, or Docker's of schema 2. */
const imageSchema = z.object({
  config: descriptor,
  layers: z.array(z.object({ mediaType: z.string().default('') })).max(10_000),
  artifactType: z.string().nullish(),
  /** What it is an attachment of. */
  subject: z.unknown().optional(),
});

const configSchema = z.object({
  os: z.string().default(''),
  architecture: z.string().default(''),
  config: z.object({ Labels: z.record(z.string(), z.string()).nullish() }).nullish(),
});

/** What a manifest says that an image is made of. */
export type Manifest =
  /** Several images; `image` is the digest of the manifest for linux/amd64. */
  | { readonly kind: 'index'; readonly image: string | undefined; readonly platforms: readonly string[] }
  | { readonly kind: 'image'; readonly config: string }
  /** An attestation, a signature, an index of files: nothing that runs. */
  | { readonly kind: 'artefact' };

/**
 * Reads an OCI or Docker manifest, version 2.
 * @throws ImageRefusal where it is neither
 */
export function readManifest(bytes: Uint8Array): Manifest {
  const json = parseJson(bytes, 'manifest');
  const index = indexSchema.safeParse(json);
  if (index.success) return readIndex(index.data);
  const image = imageSchema.safeParse(json);
  if (!image.success) {
    throw new ImageRefusal(
      'Its manifest is none that Mimeo reads (OCI, or Docker schema 2). Push it with a current Docker or Cog.',
    );
  }
  const { config, layers, artifactType, subject } = image.data;
  const isImage = configMediaTypes.includes(config.mediaType) && !artifactType && !subject;
  const isAttestation = layers.length > 0 && layers.every(({ mediaType }) => mediaType.includes('in-toto'));
  return isImage && !isAttestation ? { kind: 'image', config: config.digest } : { kind: 'artefact' };
}

function readIndex({ manifests }: z.infer<typeof indexSchema>): Manifest {
  const images = manifests.filter(
    ({ artifactType, annotations: notes, platform }) =>
      !artifactType && !notes?.['vnd.docker.reference.type'] && platform?.os !== 'unknown',
  );
  // Where nothing but artefacts is listed, there is no image that could be missing one for our platform.
  if (images.length === 0) return { kind: 'artefact' };
  const platforms = images.map(({ platform }) =>
    platform ? `${platform.os}/${platform.architecture}` : 'unknown',
  );
  return { kind: 'index', image: images[platforms.indexOf(ourPlatform)]?.digest, platforms };
}

/** What models run on: the GPU machines of every cloud are amd64. */
export const ourPlatform = 'linux/amd64';

/** An image's platform and labels. @throws ImageRefusal */
export function readConfig(bytes: Uint8Array): {
  readonly platform: string;
  readonly labels: Readonly<Record<string, string>>;
} {
  const parsed = configSchema.safeParse(parseJson(bytes, 'config'));
  if (!parsed.success) throw new ImageRefusal("Its config is no image's config. Push it again.");
  const { os, architecture, config } = parsed.data;
  return { platform: `${os}/${architecture}`, labels: config?.Labels ?? {} };
}

/** What Cog wrote on an image when it built it. */
export interface CogImage
  extends Pick<Version, 'cogVersion' | 'openapiSchema' | 'concurrency' | 'streams' | 'gpuMemoryGb'> {
  /** `build.gpu` of its cog.yaml. */
  readonly wantsGpu: boolean;
}

const cogConfigSchema = z.object({
  build: z.object({ gpu: z.boolean().nullish() }).nullish(),
  concurrency: z.object({ max: z.int().positive().max(10_000).nullish() }).nullish(),
});

/** Labels of the Cog CLI: https://github.com/replicate/cog, pkg/docker/command/manifest.go */
const labelNames = {
  schema: 'run.cog.openapi_schema',
  config: 'run.cog.config',
  version: 'run.cog.version',
} as const;

/**
 * Reads Cog's labels, and ours.
 * @throws ImageRefusal where they are missing, cannot be read, are too large, or no input can be checked against them
 */
export function readCogLabels(labels: Readonly<Record<string, string>>): CogImage {
  const missing = Object.values(labelNames).filter((name) => !Object.hasOwn(labels, name));
  if (missing.length > 0) {
    throw new ImageRefusal(
      `It is no image of Cog's: it has no label ${missing.join(', ')}. ` +
        'Build it with the Cog CLI (cog push, or npx mimeo push), not with docker build.',
    );
  }
  const schemaText = labels[labelNames.schema] ?? '';
  const schemaBytes = Buffer.byteLength(schemaText);
  if (schemaBytes > maxSchemaBytes) {
    throw new ImageRefusal(
      `The label ${labelNames.schema} has ${schemaBytes} bytes; at most ${maxSchemaBytes} are kept. ` +
        'Shorten choices and descriptions of its inputs.',
    );
  }
  const openapiSchema = readSchema(schemaText);
  const config = cogConfigSchema.safeParse(parseJson(labels[labelNames.config] ?? '', labelNames.config));
  if (!config.success) throw unreadableLabel(labelNames.config);
  return {
    openapiSchema,
    cogVersion: (labels[labelNames.version] ?? '').slice(0, maxCogVersionLength),
    concurrency: config.data.concurrency?.max ?? 1,
    streams: outputStreams(openapiSchema),
    wantsGpu: config.data.build?.gpu ?? false,
    ...readGpuMemory(labels),
  };
}

function readGpuMemory(labels: Readonly<Record<string, string>>): Pick<CogImage, 'gpuMemoryGb'> {
  if (!Object.hasOwn(labels, gpuMemoryLabel)) return {};
  const text = labels[gpuMemoryLabel] ?? '';
  const gpuMemoryGb = /^\d{1,6}(\.\d{1,6})?$/.test(text) ? Number(text) : Number.NaN;
  if (!gpuMemoryGbSchema.safeParse(gpuMemoryGb).success) {
    throw new ImageRefusal(
      `Its label ${gpuMemoryLabel} is ${JSON.stringify(text.slice(0, 100))}; write gigabytes, such as 24.`,
    );
  }
  return { gpuMemoryGb };
}

const documentSchema = z.record(z.string(), z.json()).and(
  z.object({
    components: z.object({ schemas: z.object({ Input: z.object({}), Output: z.unknown().optional() }) }),
  }),
);

function readSchema(text: string): Version['openapiSchema'] {
  const json = parseJson(text, labelNames.schema);
  const parsed = isDeeperThan(json, maxSchemaDepth) ? undefined : documentSchema.safeParse(json);
  if (!parsed?.success) throw unreadableLabel(labelNames.schema);
  try {
    withTimeLimit(compileLimitMs, () => compileInput({ openapiSchema: parsed.data }));
  } catch (error) {
    if (error instanceof TimeLimitError)
      throw new ImageRefusal(
        `Its label ${labelNames.schema} takes too long to be read. Make its inputs simpler.`,
      );
    const reason = (error instanceof Error ? error.message : String(error)).slice(0, 300);
    throw new ImageRefusal(
      `Its inputs cannot be checked: ${reason}. Mend it in the model and push it again.`,
    );
  }
  return parsed.data;
}

function isDeeperThan(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((member) => isDeeperThan(member, levels - 1));
}

function unreadableLabel(name: string): ImageRefusal {
  return new ImageRefusal(`Its label ${name} is not as Cog writes it. Build it with a current Cog CLI.`);
}

function parseJson(text: Uint8Array | string, what: string): unknown {
  try {
    return JSON.parse(
      typeof text === 'string' ? text : new TextDecoder('utf-8', { fatal: true }).decode(text),
    );
  } catch {
    throw new ImageRefusal(`Its ${what} is not JSON. Build and push it again.`);
  }
}
