import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { administratorRole } from '../../infra/components/cluster-access.ts';
import { engineTools, haveGoTools, howToHaveGoTools } from '../support/go-tools.ts';
import { type Engine, openEngine } from './engine.ts';
import type { Change } from './stand-in-cloud.ts';
import { type StandInProviders, startStandInProviders } from './stand-in-providers.ts';

const environment = 'dev';
const repository = resolve(import.meta.dirname, '../..');
/** What lets whoever runs the program in: who that is, infra/plan/mock-outputs.ts says. */
const runnerEntry = `cluster-${administratorRole('arn:aws:iam::123456789012:user/plan')}`;

/** Settings that are changed, with all that is in them. */
const settings = ['tiers.gpu-t4.max=2', 'tiers.cpu.diskGb=300', 'api.max=3', 'api.predictionsPerMinute=1234'];
const changedInPlace = [
  // A new task definition.
  'api-service',
  'api-tasks-count',
  'in-cluster-director-deployment',
  'in-cluster-models-quota',
  'in-cluster-models-quota-gpu-t4',
  'tier-cpu-machine',
  // A new version of their launch template.
  'tier-cpu-nodes',
  'tier-cpu-tag-resources-ephemeral-storage',
  'tier-gpu-t4-nodes',
];

// vitest.config.ts leaves this file out where they are not there.
if (!haveGoTools(engineTools)) throw new Error(howToHaveGoTools(engineTools));

// Each starts the engine, which is in no hurry on a machine that is busy with other things.
describe.sequential("Pulumi's engine runs the whole platform", { timeout: 240_000 }, suite);

function suite(): void {
  let providers: StandInProviders;
  let engine: Engine;

  beforeAll(async () => {
    providers = await startStandInProviders();
    engine = await openEngine(repository, providers.environment);
    await engine.must('stack', 'init', environment);
    // By digest, so that nothing is built by Docker.
    await set(...['api', 'director', 'runner'].map((service) => `images.${service}=${imageOf(service)}`));
  });
  afterAll(async () => {
    providers?.stop();
    await engine?.remove();
  });

  /** @param settings PATH=VALUE, without the project's name */
  async function set(...settings: readonly string[]): Promise<void> {
    const all = settings.flatMap((each) => ['--plaintext', `mimeo:${each}`]);
    await engine.must('config', 'set-all', '-s', environment, '--path', ...all);
  }

  it('previews it while nothing stands and no output is known', async () => {
    const said = await engine.must('preview', '-s', environment);

    expect(said).toMatch(/\+ 2\d\d to create/);
    expect(said).toMatch(/url +: \[unknown\]/);
    expect(said.match(/^ +warning: .*$/gm)).toEqual([
      expect.stringContaining('using pulumi-language-nodejs'),
    ]);
    expect(providers.standing).toEqual([]);
  });

  it('makes everything in one go, awsx components with what is inside', async () => {
    await engine.must('up', '-s', environment, '--yes', '--skip-preview');

    expect(providers.standing.length).toBeGreaterThan(150);
    expect(new Set(providers.changes.map(({ operation }) => operation))).toEqual(new Set(['create']));
    const { inputs } = standing('api-service', 'aws:ecs/taskDefinition:TaskDefinition');
    expect(String(inputs.containerDefinitions)).toContain(imageOf('api'));
  });

  it('makes nothing in the cluster before whoever runs this may, and before the rules for it hold', () => {
    const made = namesOf(providers.changes, 'create');
    const first = made.findIndex((name) => name.startsWith('in-cluster-models'));

    const before = [`${runnerEntry}-policy`, 'cluster-system-nodes', 'cluster-coredns'];
    for (const name of before) {
      expect(made, name).toContain(name);
      expect(made.indexOf(name), name).toBeLessThan(first);
    }
  });

  it('says where it stands', async () => {
    const outputs: unknown = JSON.parse(await engine.must('stack', 'output', '--json', '-s', environment));

    expect(outputs).toMatchObject({
      url: expect.stringMatching(/^http:\/\/mimeo-dev-\d+\.us-east-1\.elb\.amazonaws\.com$/),
      kubeconfig: 'aws eks update-kubeconfig --region us-east-1 --name mimeo-dev',
      table: 'mimeo-dev',
      queuePrefix: 'mimeo-dev-jobs-',
    });
  });

  it('does nothing the second time', async () => {
    const before = providers.changes.length;

    await engine.must('up', '-s', environment, '--yes', '--expect-no-changes', '--skip-preview');

    expect(providers.changes.slice(before)).toEqual([]);
  });

  it('changes in place what settings change, and leaves what scales by itself as it has scaled', async () => {
    const before = providers.changes.length;
    providers.drift('tier-gpu-t4-nodes', { scalingConfig: { minSize: 0, maxSize: 1, desiredSize: 1 } });
    providers.drift('api-service', { desiredCount: 2 });
    await set(...settings);

    await engine.must('up', '-s', environment, '--yes', '--skip-preview', '--refresh');

    const changes = providers.changes.slice(before);
    expect(namesOf(changes, 'update').sort()).toEqual(changedInPlace);
    // Of a task definition, ECS changes nothing; it is told of a new one.
    expect(changes.filter(({ operation }) => operation !== 'update')).toEqual([
      { operation: 'create', type: 'aws:ecs/taskDefinition:TaskDefinition', name: 'api-service' },
      { operation: 'delete', type: 'aws:ecs/taskDefinition:TaskDefinition', name: 'api-service' },
    ]);
    const { inputs } = standing('tier-gpu-t4-nodes');
    expect(inputs.scalingConfig).toEqual({ minSize: 0, maxSize: 2, desiredSize: 1 });
    const service = standing('api-service', 'aws:ecs/service:Service').inputs;
    expect(service).toMatchObject({ desiredCount: 2, taskDefinition: expect.stringMatching(/:2$/) });
  });

  it('takes everything away, and what is in the cluster while it can be reached', async () => {
    const before = providers.changes.length;
    const file = join(engine.folder, 'state.json');
    await engine.must('stack', 'export', '-s', environment, '--file', file);

    await engine.must('destroy', '-s', environment, '--yes', '--skip-preview');
    expect(providers.standing).toEqual([]);

    const changes = providers.changes.slice(before);
    const last = changes.findLastIndex(({ type }) => type.startsWith('kubernetes:'));
    const gone = namesOf(changes, 'delete');
    for (const name of ['cluster-control-plane', runnerEntry, `${runnerEntry}-policy`]) {
      expect(gone, name).toContain(name);
      expect(gone.indexOf(name), name).toBeGreaterThan(last);
    }
  });

  it('takes the rest away where somebody has deleted the cluster', async () => {
    // As it stood before the test above.
    await engine.must('stack', 'import', '-s', environment, '--file', join(engine.folder, 'state.json'));
    providers.loseCluster();
    const refused = await engine.run('destroy', '-s', environment, '--yes', '--skip-preview');
    expect(refused.code).not.toBe(0);

    // As `npm run down` starts Pulumi, which starts the provider.
    providers.loseCluster({ PULUMI_K8S_DELETE_UNREACHABLE: 'true' });
    await engine.must('destroy', '-s', environment, '--yes', '--skip-preview');

    expect(await engine.must('stack', '-s', environment)).toContain('Current stack resources (0)');
  });

  it('leaves the files of the program as they were', async () => {
    const copy = await readFile(join(engine.folder, 'Pulumi.dev.yaml'), 'utf8');
    const file = await readFile(join(repository, 'Pulumi.dev.yaml'), 'utf8');

    expect(copy).toContain('predictionsPerMinute');
    expect(file).not.toContain('predictionsPerMinute');
  });

  function standing(name: string, type?: string) {
    const found = providers.standing.find(
      (one) => one.name === name && (type === undefined || one.type === type),
    );
    if (!found) throw new Error(`There is no ${name}`);
    return found;
  }
}

function imageOf(service: string): string {
  return `registry.example.com/mimeo-${service}@sha256:${'0'.repeat(64)}`;
}

function namesOf(changes: readonly Change[], operation: Change['operation']): string[] {
  return changes.filter((change) => change.operation === operation).map(({ name }) => name);
}
