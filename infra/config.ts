import type { core } from 'zod';
import { defaultHardware } from '../services/core/hardware.ts';
import { instanceTypesOf, pricedRegions } from './aws/prices.ts';
import { usualInstanceTypes } from './aws/usual-instance-types.ts';
import { type ConfigMistake, mistakesBetween } from './config-rules.ts';
import { type Settings, settingsSchema, type TierSettings } from './config-schema.ts';

/** A tier that is on. */
export interface TierConfig extends Omit<TierSettings, 'instanceTypes'> {
  readonly sku: string;
  /** At least one, all of equal shape. */
  readonly instanceTypes: readonly string[];
}

/** A SKU that this environment does not have, and why, for the plan to say. */
export interface TierOff {
  readonly sku: string;
  readonly why: string;
}

/** The whole configuration of one environment, as the program goes by it: what the file says, with defaults. */
export interface StackConfig extends Readonly<Omit<Settings, 'tiers' | 'guardrails'>> {
  readonly project: string;
  /** The stack's name, such as dev. */
  readonly environment: string;
  readonly region: string;
  /** In the order of the catalogue of hardware. */
  readonly tiers: readonly TierConfig[];
  readonly tiersOff: readonly TierOff[];
  readonly guardrails: Settings['guardrails'] & { readonly monthlyBudgetUsd: number };
}

/** All mistakes of a configuration, a line each. */
export class ConfigError extends Error {
  override name = 'ConfigError';
  readonly mistakes: readonly ConfigMistake[];

  constructor(environment: string, mistakes: readonly ConfigMistake[]) {
    const lines = mistakes.map(({ path, value, rule }) => {
      const found = value === undefined ? '' : ` is ${JSON.stringify(value)}`;
      return `  ${path}${found}: ${rule}`;
    });
    const count = mistakes.length === 1 ? 'a mistake' : `${mistakes.length} mistakes`;
    super(`Pulumi.${environment}.yaml has ${count}:\n${lines.join('\n')}`);
    this.mistakes = mistakes;
  }
}

export interface ConfigSource {
  readonly project: string;
  /** The stack's name. */
  readonly environment: string;
  /** `aws:region` */
  readonly region: string | undefined;
  /** All names that are set under `aws:`, such as `profile`. @default none but the region's */
  readonly awsNames?: readonly string[];
  /** What is under the project's own names, such as `{network: {…}, tiers: {…}}`. */
  readonly settings: Readonly<Record<string, unknown>>;
}

/**
 * The configuration of one environment.
 * @throws ConfigError with every mistake in it
 */
export function parseConfig(source: ConfigSource): StackConfig {
  const { project, environment, region, settings } = source;
  const mistakes: ConfigMistake[] = [...unheeded(source.awsNames ?? [])];
  if (region === undefined || !pricedRegions.includes(region)) {
    const rule = `takes a region whose prices infra/aws/prices.json has: ${pricedRegions.join(', ')}`;
    mistakes.push({ path: 'aws:region', value: region, rule });
  }
  const parsed = settingsSchema.safeParse(settings);
  const issues = parsed.error?.issues ?? [];
  mistakes.push(...issues.flatMap((issue) => mistakesOf(issue, settings)));
  // Rules between settings are looked at all the same: as if what is mistaken had been left out.
  const readable = parsed.data ?? readableOf(settings);
  if (readable) {
    // Of what is left out already, no more is said.
    const isNew = ({ path }: ConfigMistake) => mistakes.every((known) => !known.path.startsWith(path));
    mistakes.push(...mistakesBetween(readable, environment, region).filter(isNew));
  }
  const { data } = parsed;
  const budget = data?.guardrails.monthlyBudgetUsd;
  if (mistakes.length > 0 || !data || region === undefined || budget === undefined) {
    throw new ConfigError(environment, mistakes);
  }
  return {
    ...data,
    project,
    environment,
    region,
    guardrails: { ...data.guardrails, monthlyBudgetUsd: budget },
    ...tiersOf(data.tiers, region),
  };
}

/**
 * What is set under `aws:` and would come to nothing: the stack makes its provider itself, so that all that it makes is
 * tagged. Values are not shown: one may be a key.
 */
function unheeded(awsNames: readonly string[]): readonly ConfigMistake[] {
  const rule =
    'is not heeded, only aws:region is; who asks AWS, and in which account, is said by the environment, as in AWS_PROFILE=…';
  return awsNames
    .filter((name) => name !== 'region')
    .map((name) => ({ path: `aws:${name}`, value: undefined, rule }));
}

function tiersOf(
  settings: Settings['tiers'],
  region: string,
): { readonly tiers: readonly TierConfig[]; readonly tiersOff: readonly TierOff[] } {
  const tiers: TierConfig[] = [];
  const tiersOff: TierOff[] = [];
  for (const { sku } of defaultHardware) {
    const tier = settings[sku];
    const usual = usualInstanceTypes[sku] ?? [];
    const instanceTypes = tier?.instanceTypes ?? soldIn(region, usual);
    if (!tier) tiersOff.push({ sku, why: `switched off; "${sku}: {max: 1}" under tiers switches it on` });
    else if (tier.max === 0) tiersOff.push({ sku, why: 'switched off: its max is 0' });
    else if (instanceTypes.length === 0) {
      const why = `${region} does not sell ${usual.join(', ')}; name other instanceTypes to have it`;
      tiersOff.push({ sku, why });
    } else tiers.push({ ...tier, sku, instanceTypes });
  }
  return { tiers, tiersOff };
}

function soldIn(region: string, names: readonly string[]): readonly string[] {
  const sold = instanceTypesOf(region);
  return names.filter((name) => sold.includes(name));
}

/** What zod says of one place, in our words. */
function mistakesOf(issue: core.$ZodIssue, settings: unknown): readonly ConfigMistake[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => {
      const path = [...issue.path, key];
      return { path: path.join('.'), value: valueAt(settings, path), rule: 'there is no such setting' };
    });
  }
  return [{ path: issue.path.join('.'), value: valueAt(settings, issue.path), rule: ruleOf(issue) }];
}

function ruleOf(issue: core.$ZodIssue): string {
  // What the schema says itself is for people already.
  if (!/^(Invalid|Too|Unrecognized)/.test(issue.message)) return issue.message;
  switch (issue.code) {
    case 'invalid_type':
      return `takes ${{ string: 'a text, in quotes', int: 'a whole number', object: 'settings, as in {max: 1}' }[String(issue.expected)] ?? `a ${issue.expected}`}`;
    case 'too_small':
      return `takes at least ${issue.minimum}`;
    case 'too_big':
      return `takes at most ${issue.maximum}`;
    case 'invalid_value':
      return `takes ${issue.values.join(', ')}`;
    default:
      return issue.message;
  }
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let at: unknown = value;
  for (const key of path) {
    if (typeof at !== 'object' || at === null) return undefined;
    at = Reflect.get(at, key);
  }
  return at;
}

/** The settings as if what is mistaken had been left out; undefined where that cannot be read either. */
function readableOf(settings: unknown): Settings | undefined {
  const copy: unknown = structuredClone(settings);
  // What lacks something that it needs goes with it: one round for each level.
  for (let round = 0; round < 4; round += 1) {
    const { success, data, error } = settingsSchema.safeParse(copy);
    if (success) return data;
    for (const issue of error.issues) leaveOut(copy, issue);
  }
  return undefined;
}

function leaveOut(settings: unknown, issue: core.$ZodIssue): void {
  const isMissing = issue.code !== 'unrecognized_keys' && valueAt(settings, issue.path) === undefined;
  const path = isMissing ? issue.path.slice(0, -1) : issue.path;
  const [parentPath, keys] =
    issue.code === 'unrecognized_keys' ? [path, issue.keys] : [path.slice(0, -1), path.slice(-1)];
  const parent = valueAt(settings, parentPath);
  if (typeof parent !== 'object' || parent === null) return;
  for (const key of keys) Reflect.deleteProperty(parent, key);
}
