import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { gpuMemoryLabel } from '../../core/version.ts';
import { type VersionAnswer, versionAnswer } from '../answers.ts';
import type { Client } from '../client.ts';
import { CliError, usageError } from '../failure.ts';
import { cogPush, pushLabelled, requireCog, requireDocker } from '../programs.ts';
import { checkRepositoryName, logInToRegistry } from '../registry.ts';
import { type Progress, say } from '../terminal.ts';

const pollMs = 1000;
/** A push is told of within seconds; a function that failed is called again after one minute and after two more. */
const giveUpMs = 240_000;

export const pushesAnswer = z.looseObject({
  results: z.array(
    z.looseObject({
      digest: z.string(),
      tag: z.string().nullable(),
      created_at: z.string(),
      status: z.string(),
      version: z.string().nullable(),
      reason: z.string().nullable(),
    }),
  ),
});
type PushAnswer = z.infer<typeof pushesAnswer>['results'][number];

/** What is pushed, and to which model. */
export interface CogFolder {
  readonly dir: string;
  readonly owner: string;
  readonly name: string;
  /** GPU memory that one instance needs; undefined: the version says nothing of it. */
  readonly gpuMemoryGb?: number | undefined;
}

/** What must hold before anything is made on the server. @throws CliError */
export async function checkImagePush({ owner, name }: CogFolder, signal: AbortSignal): Promise<void> {
  checkRepositoryName(owner, name);
  await requireDocker(signal);
  await requireCog(signal);
}

/** Builds an image with Cog, pushes it to the server's registry, and waits until it has become a version. */
export async function pushImage(
  client: Client,
  push: CogFolder,
  progress: Progress,
  signal: AbortSignal,
): Promise<{ created: boolean; version: VersionAnswer }> {
  const { dir, owner, name, gpuMemoryGb } = push;
  progress.update('logging in to the registry');
  const { prefix, createdAt } = await logInToRegistry(client, signal);
  if (!prefix.endsWith(`/${owner}`))
    throw usageError(`Your account pushes to ${prefix}, not to models of ${owner}.`);
  // A tag of its own tells this push from all others, so that we wait for the right one.
  const tag = `push-${Date.now().toString(36)}-${randomBytes(4).toString('hex')}`;
  const image = `${prefix}/${name}:${tag}`;
  progress.stop();
  if (gpuMemoryGb === undefined) {
    say(`cog push ${image}`);
    await cogPush(dir, image, signal);
  } else {
    const label = `${gpuMemoryLabel}=${gpuMemoryGb}`;
    say(`cog build, docker build --label ${label} and docker push ${image}`);
    await pushLabelled(dir, image, label, signal);
  }
  progress.update('waiting for the image to become a version');
  const model = `/models/${owner}/${name}`;
  const pushed = await waitFor(client, `${model}/pushes`, tag, signal);
  if (pushed.version === null)
    throw new CliError(`The image was refused: ${pushed.reason ?? 'the server gave no reason.'}`);
  const version = await client.call('GET', `${model}/versions/${pushed.version}`, versionAnswer, { signal });
  const isOlder = Date.parse(version.created_at ?? '') < Date.parse(createdAt);
  return { created: !isOlder, version };
}

async function waitFor(client: Client, path: string, tag: string, signal: AbortSignal): Promise<PushAnswer> {
  const startedAt = performance.now();
  while (performance.now() - startedAt < giveUpMs) {
    const { results } = await client.call('GET', path, pushesAnswer, { signal });
    const found = results.find((push) => push.tag === tag);
    if (found) return found;
    await sleep(pollMs, undefined, { signal });
  }
  const minutes = giveUpMs / 60_000;
  throw new CliError(
    `The image is in the registry, but the server has made no version of it within ${minutes} minutes. ` +
      'See later what became of it: npx mimeo pushes OWNER/NAME',
  );
}
