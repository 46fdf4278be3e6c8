import { defaultCogVersion, ensureEnvironment } from '../../services/registrar/environment.ts';
import { modelEnvironment } from '../../services/registrar/process-environment.ts';
import { findPython } from '../../services/registrar/python.ts';
import { deriveSchema } from '../../services/registrar/schema.ts';
import { sharedEnvironments, testModel } from '../registrar/registrar-home.ts';

/** The labels that Cog's build puts on an image of a model under `test/models`, its document derived by Cog itself. */
export async function cogLabels(
  model: string,
  config: Readonly<Record<string, unknown>> = { build: { python_version: '3.12' }, predict: 'run.py:Runner' },
): Promise<Record<string, string>> {
  const environment = await ensureEnvironment(
    sharedEnvironments,
    await findPython(),
    { pythonPackages: [], requirementsFile: null, sdkVersion: null },
    import.meta.dirname,
    { onProgress: () => {} },
  );
  const predictRef = 'run.py:Runner';
  const { schema } = await deriveSchema({
    environment,
    sourceFolder: testModel(model),
    predictRef,
    trainRef: null,
    requirementsFile: null,
    env: { ...modelEnvironment(), COG_PREDICT_TYPE_STUB: predictRef },
    timeoutMs: 60_000,
  });
  return {
    'run.cog.openapi_schema': JSON.stringify(schema),
    'run.cog.config': JSON.stringify(config),
    'run.cog.version': defaultCogVersion,
    'run.cog.has_init': 'true',
  };
}
