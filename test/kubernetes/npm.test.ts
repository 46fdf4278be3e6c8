import { join } from 'node:path';
import { describe } from 'vitest';
import { outputStreams } from '../../services/core/version.ts';
import { packFolder } from '../../services/registrar/pack.ts';
import { SourceRegistrar } from '../../services/registrar/source.ts';
import { describeNpmClient } from '../clients/npm.ts';
import { makeFleetHome, removeFleetHome } from '../support/cloud.ts';
import { callsOf, type RunningPlatform, type StartPlatform } from '../support/local-server.ts';
import { imageOf } from '../support/node-agent.ts';
import { World } from './world.ts';

const repository = join(import.meta.dirname, '../..');
/** Each model of the suite has one, and there is room for one more while another drains. */
const instances = 8;

/** The platform with its models as pods of a cluster. */
const startClusterPlatform: StartPlatform = async () => {
  const [world, home] = await Promise.all([World.start(), makeFleetHome()]);
  const registrar = new SourceRegistrar({ home });
  const push: RunningPlatform['push'] = async (folder, name = folder.split('/').at(-1) ?? '') => {
    const { stream } = await packFolder(join(repository, folder));
    const built = await registrar.build(stream, { onProgress: () => {} });
    const image = `registry.example.com/${name}@sha256:${built.id}`;
    world.images.set(image, imageOf(await registrar.launch(built.id)));
    const { id, cogVersion, openapiSchema, concurrency } = built;
    const streams = outputStreams(openapiSchema);
    const visibility = name === 'hello-world' ? 'public' : 'private';
    await world.api.addModel(
      { name, visibility },
      { id, cogVersion, openapiSchema, concurrency, streams, image },
    );
    await world.api.models.setReadme(`local/${name}`, built.readme ?? null);
    return { model: `local/${name}`, version: id };
  };
  await push('examples/hello-world');
  await world.startNode();
  await world.startDirector({ MIMEO_MAX_INSTANCES: String(instances) });
  const { url } = world;
  const { token } = world.api;
  return {
    ...callsOf({ url, token }),
    url,
    token,
    push,
    async stop() {
      await world.stop();
      await removeFleetHome(home);
    },
  };
};

describe("with models as pods of a cluster: the npm client's suite", () =>
  describeNpmClient(startClusterPlatform, { readsServerLogs: false }));
