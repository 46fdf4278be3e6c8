import { ConfigError, type StackConfig } from '../config.ts';
import { ConfigFileError, readStackConfig } from '../plan/read-config.ts';
import type { Account, QuotaKey } from './account.ts';
import { type CostTags, costTagsCheck } from './cost-tags.ts';
import { isAtLeast, type Machine } from './machine.ts';
import { type QuotaNeed, quotasNeeded } from './quotas.ts';

/** One thing that was looked at before anything is changed. */
export interface Check {
  readonly name: string;
  /** `fail`: the command would fail, or leave something that cannot work. `warn`: less comes of it than one might think. */
  readonly level: 'ok' | 'warn' | 'fail';
  /** What was found, and where. */
  readonly found: string;
  /** How to mend it. */
  readonly mend?: string;
}

/** The oldest Pulumi that speaks with the SDK in package.json: providers' parameters and `--exclude-protected` came before it. */
const leastPulumi = '3.200';
/** The first Node that runs TypeScript as it stands. */
const leastNode = '22.18';

/** What the checks go by: reading, looking and building, each of which a test replaces. */
export interface Surroundings {
  readonly config: () => StackConfig;
  readonly machine: () => Promise<Machine>;
  readonly account: (region: string, quotas: readonly QuotaKey[]) => Promise<Account>;
  readonly costTags: () => Promise<CostTags>;
  /** Bundles the services as the program does. @returns how many there are */
  readonly bundle: () => Promise<number>;
  /** Of the process: AWS_REGION and the like. */
  readonly env: NodeJS.ProcessEnv;
}

/** What `preflight` came to. */
export interface Preflight {
  readonly checks: readonly Check[];
  /** undefined where it cannot be read. */
  readonly config: StackConfig | undefined;
}

/** The surroundings of a program. */
export function readConfigFrom(root: string, environment: string): () => StackConfig {
  return () => readStackConfig(environment, root);
}

/**
 * Looks at everything that `pulumi up` needs, and says of each what was found.
 * @param options forDown: what only a new stack needs is left out. @default false
 */
export async function preflight(
  around: Surroundings,
  { forDown = false }: { readonly forDown?: boolean } = {},
): Promise<Preflight> {
  const { config, check } = readConfiguration(around);
  const needs = config && !forDown ? quotasNeeded(config) : [];
  const [machine, account, costTags, bundles] = await Promise.all([
    around.machine(),
    config ? around.account(config.region, needs) : undefined,
    config && !forDown ? around.costTags() : undefined,
    forDown ? undefined : checkBundles(around),
  ]);
  const checks: Check[] = [check, ...machineChecks(machine)];
  if (config && account) {
    checks.push(credentialsCheck(account, config), regionCheck(config, around.env));
    const isKnown = !('problem' in account.identity);
    if (isKnown) checks.push(...needs.map((need) => quotaCheck(need, account, config.region)));
    if (isKnown && costTags) checks.push(costTagsCheck(config, costTags));
  }
  if (config && !forDown) checks.push(imagesCheck(config, machine));
  if (bundles) checks.push(bundles);
  return { checks, config };
}

/** One line of a check, and one of how to mend it. */
export function checkLines({ name, level, found, mend }: Check): readonly string[] {
  const line = `${{ ok: '✓', warn: '!', fail: '✗' }[level]} ${name.padEnd(14)} ${found}`;
  return mend === undefined ? [line] : [line, `  ${' '.repeat(14)} → ${mend}`];
}

function readConfiguration(around: Surroundings): {
  readonly config: StackConfig | undefined;
  readonly check: Check;
} {
  const name = 'configuration';
  try {
    const config = around.config();
    const tiers = config.tiers.map(({ sku }) => sku).join(', ') || 'no tiers';
    return {
      config,
      check: { name, level: 'ok', found: `Pulumi.${config.environment}.yaml: ${config.region}, ${tiers}` },
    };
  } catch (error) {
    if (!(error instanceof ConfigError || error instanceof ConfigFileError)) throw error;
    return { config: undefined, check: { name, level: 'fail', found: error.message } };
  }
}

function machineChecks({ pulumi, node, awsCli }: Machine): readonly Check[] {
  const install = 'https://www.pulumi.com/docs/install/';
  return [
    pulumiCheck(pulumi, install),
    ...(pulumi ? [loginCheck(pulumi.user)] : []),
    node !== null && isAtLeast(node, leastNode)
      ? { name: 'node', level: 'ok', found: `${node} on PATH` }
      : {
          name: 'node',
          level: 'fail',
          found: node === null ? 'none on PATH' : `${node} on PATH, which cannot run TypeScript`,
          mend: `Pulumi starts the node of PATH, ${leastNode} or later: use npm run, or put node_modules/.bin first`,
        },
    awsCli === null
      ? {
          name: 'aws',
          level: 'warn',
          found: 'no AWS CLI: kubectl and the command for the first token need it',
          mend: 'https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html',
        }
      : { name: 'aws', level: 'ok', found: awsCli },
  ];
}

function pulumiCheck(pulumi: Machine['pulumi'], install: string): Check {
  const name = 'pulumi';
  if (!pulumi) return { name, level: 'fail', found: 'not on PATH', mend: install };
  const { version } = pulumi;
  if (version === '') return { name, level: 'ok', found: 'a build of its own, which says no version' };
  if (isAtLeast(version, leastPulumi)) return { name, level: 'ok', found: version };
  return { name, level: 'fail', found: `${version} is older than ${leastPulumi}`, mend: install };
}

function loginCheck(user: string | null): Check {
  const name = 'state';
  if (user !== null) return { name, level: 'ok', found: `Pulumi's state is kept for ${user}` };
  return {
    name,
    level: 'fail',
    found: 'nobody is logged in, so there is no place for the state',
    mend: 'pulumi login, or pulumi login s3://BUCKET for a bucket of your own',
  };
}

function credentialsCheck({ identity }: Account, { region }: StackConfig): Check {
  const name = 'credentials';
  if (!('problem' in identity))
    return { name, level: 'ok', found: `${identity.arn} in account ${identity.account}` };
  return {
    name,
    level: 'fail',
    found: `AWS in ${region} does not take them: ${identity.problem}`,
    mend: 'aws configure sso, then aws sso login and export AWS_PROFILE=…; or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY',
  };
}

function regionCheck({ region, environment }: StackConfig, env: NodeJS.ProcessEnv): Check {
  const name = 'region';
  const said = env.AWS_REGION ?? env.AWS_DEFAULT_REGION;
  if (said === undefined || said === region) return { name, level: 'ok', found: region };
  return {
    name,
    level: 'warn',
    found: `AWS_REGION says ${said}; this stack stands in ${region} all the same`,
    mend: `aws:region in Pulumi.${environment}.yaml is what counts`,
  };
}

function quotaCheck(need: QuotaNeed, { quotas }: Account, region: string): Check {
  const name = 'quota';
  const value = quotas[need.code];
  const wanted = `${need.wantedBy}: ${need.amount}`;
  if (typeof value !== 'number') {
    const why = value?.problem ?? 'no answer';
    return {
      name,
      level: 'warn',
      found: `"${need.name}" cannot be read (${why}); ${wanted} ${need.unit}`,
      mend: 'allow servicequotas:GetServiceQuota, or look in the console',
    };
  }
  const found = `"${need.name}" is ${value} ${need.unit} in ${region}; ${wanted}`;
  if (value >= need.amount) return { name, level: 'ok', found };
  const mend = `aws service-quotas request-service-quota-increase --region ${region} --service-code ${need.service} --quota-code ${need.code} --desired-value ${need.askFor}${need.instead === undefined ? '' : `; or ${need.instead}`}`;
  return { name, level: value < need.least ? 'fail' : 'warn', found, mend };
}

function imagesCheck({ images, environment }: StackConfig, { docker }: Machine): Check {
  const name = 'images';
  if (images.api !== undefined) return { name, level: 'ok', found: `by digest, ${images.api}` };
  const mend = `start Docker with buildx, or name all of mimeo:images in Pulumi.${environment}.yaml by digest`;
  const missing = !docker
    ? 'there is no docker'
    : docker.server === null
      ? "Docker's daemon does not answer"
      : docker.buildx === null
        ? 'docker has no buildx'
        : undefined;
  if (missing !== undefined) {
    return { name, level: 'fail', found: `must be built here, and ${missing}`, mend };
  }
  return { name, level: 'ok', found: `are built here by Docker ${docker?.server}` };
}

async function checkBundles({ bundle }: Surroundings): Promise<Check> {
  const name = 'bundles';
  try {
    return { name, level: 'ok', found: `${await bundle()} services` };
  } catch (error) {
    const found = `cannot be built: ${error instanceof Error ? error.message : error}`;
    return { name, level: 'fail', found, mend: 'npm install, then npm run build' };
  }
}
