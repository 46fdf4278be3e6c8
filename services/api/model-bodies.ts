import type { Model } from '../core/model.ts';
import type { Examples } from '../data/examples.ts';
import type { Models } from '../data/models.ts';
import type { Predictions } from './predictions.ts';
import type { ModelBody } from './schemas.ts';
import { modelBody } from './views.ts';

interface Parts {
  readonly models: Models;
  readonly examples: Examples;
  readonly predictions: Predictions;
  readonly publicUrl: () => string;
}

/** Gives a function that gathers what a model's body needs: its runs, its latest version and its first example. */
export function modelBodies(parts: Parts): (model: Model) => Promise<ModelBody> {
  const { models, examples, predictions, publicUrl } = parts;
  return async (model) => {
    const name = `${model.owner}/${model.name}`;
    const [runCount, latest, { items }] = await Promise.all([
      models.runCount(name),
      model.latestVersion === null ? undefined : models.getVersion(name, model.latestVersion),
      examples.list(name, { limit: 1 }),
    ]);
    const example = items[0] && (await predictions.show(items[0]));
    return modelBody(model, { publicUrl: publicUrl(), runCount, latest, example });
  };
}
