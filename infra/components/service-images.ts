import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { relative, resolve } from 'node:path';
import * as aws from '@pulumi/aws';
import * as awsx from '@pulumi/awsx';
import * as pulumi from '@pulumi/pulumi';
import type { StackConfig } from '../config.ts';
import { physicalName } from '../names.ts';
import { Component, type StackIdentity } from './component.ts';

/** Where each service runs: the api on Fargate, the director on system nodes, the runner beside models. */
const platforms = { api: 'linux/arm64', director: 'linux/arm64', runner: 'linux/amd64' } as const;
type Service = keyof typeof platforms;

/** Hex digits of a tag. */
const tagLength = 16;
/** Images of a service that are kept: a few releases to go back to. */
const keptImages = 20;
/** The folder of the Dockerfile and of `dist`. */
const checkout = resolve(import.meta.dirname, '../..');

export interface ServiceImagesArgs {
  readonly identity: StackIdentity;
  /** Images by digest. Those that are not there are built from this checkout, which takes Docker and `npm run build`. */
  readonly settings: StackConfig['images'];
}

/**
 * What tags begin with. They may be pushed again, because a tag is named after what is in its image: an update that was
 * broken off, or one back to an earlier content, brings the same under it. What runs goes by digest.
 */
const tagPrefix = 'content-';

/** The images of the services that run in containers, each by its digest. */
export class ServiceImages extends Component {
  public readonly api: pulumi.Output<string>;
  public readonly director: pulumi.Output<string>;
  public readonly runner: pulumi.Output<string>;
  readonly #args: ServiceImagesArgs;

  constructor(name: string, args: ServiceImagesArgs, opts?: pulumi.ComponentResourceOptions) {
    super('ServiceImages', name, opts);
    this.#args = args;
    this.api = this.#imageOf('api');
    this.director = this.#imageOf('director');
    this.runner = this.#imageOf('runner');
    this.registerOutputs({ api: this.api, director: this.director, runner: this.runner });
  }

  #imageOf(service: Service): pulumi.Output<string> {
    const given = this.#args.settings[service];
    return given === undefined ? this.#build(service) : pulumi.output(given);
  }

  #build(service: Service): pulumi.Output<string> {
    const repository = this.#createRepository(service);
    const image = new awsx.ecr.Image(
      this.childName(service),
      {
        repositoryUrl: repository.repositoryUrl,
        // Relative to the program: a checkout elsewhere is no change. That service's bundle alone: a change of another
        // one is none either.
        context: pathOf(`dist/${service}`),
        dockerfile: pathOf('Dockerfile'),
        target: service,
        platform: platforms[service],
        imageTag: tagOf(service),
      },
      this.child(keepImages()),
    );
    return image.imageUri;
  }

  #createRepository(service: Service): aws.ecr.Repository {
    const { project, environment } = this.#args.identity;
    const repository = new aws.ecr.Repository(
      this.childName(`${service}-repository`),
      {
        // Beside the prefix of models' images, not under it: who may push those may not push these.
        name: `${physicalName('repositoryPrefix', project, environment, 'services')}/${service}`,
        imageTagMutability: 'IMMUTABLE_WITH_EXCLUSION',
        imageTagMutabilityExclusionFilters: [{ filter: `${tagPrefix}*`, filterType: 'WILDCARD' }],
        imageScanningConfiguration: { scanOnPush: true },
        encryptionConfigurations: [{ encryptionType: 'AES256' }],
        forceDelete: true,
      },
      this.child(),
    );
    new aws.ecr.LifecyclePolicy(
      this.childName(`${service}-lifecycle`),
      {
        repository: repository.name,
        policy: JSON.stringify({
          rules: [
            {
              rulePriority: 1,
              description: `The newest ${keptImages} images are kept`,
              selection: { tagStatus: 'any', countType: 'imageCountMoreThan', countNumber: keptImages },
              action: { type: 'expire' },
            },
          ],
        }),
      },
      this.child(),
    );
    return repository;
  }
}

/** A tag for what goes into an image, so that another content never asks for a tag that is taken. */
function tagOf(service: Service): string {
  const hash = createHash('sha256');
  for (const file of ['Dockerfile', `dist/${service}/main.mjs`]) {
    const path = resolve(checkout, file);
    // A plan needs no bundles; the build of an image names what is missing.
    hash.update(existsSync(path) ? readFileSync(path) : `no ${file}`);
  }
  return tagPrefix + hash.digest('hex').slice(0, tagLength);
}

/** As the builder is told it, which runs where the program does. */
function pathOf(file: string): string {
  return relative(process.cwd(), resolve(checkout, file));
}

/**
 * Options that leave an image in its repository when another takes its place: pods that still wait for a machine ask for
 * it, and so does a release that is rolled back. The repository's own rule expires it. Only a transform reaches what
 * awsx makes inside; mocks have none.
 */
function keepImages(): pulumi.CustomResourceOptions {
  return pulumi.runtime.hasEngine() ? { transforms: [retainImage] } : {};
}

/** @see keepImages */
export const retainImage: pulumi.ResourceTransform = ({ type, props, opts }) =>
  type === 'docker-build:index:Image'
    ? { props, opts: pulumi.mergeOptions(opts, { retainOnDelete: true }) }
    : undefined;
