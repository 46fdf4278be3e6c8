import * as pulumi from '@pulumi/pulumi';
import { ConfigError, parseConfig, type StackConfig } from './config.ts';

/**
 * The configuration of the stack that Pulumi is running.
 * @throws pulumi.RunError with every mistake in it, which Pulumi prints without a stack trace
 */
export function readProgramConfig(): StackConfig {
  const project = pulumi.getProject();
  const environment = pulumi.getStack();
  const all = pulumi.runtime.allConfig();
  try {
    return parseConfig({
      project,
      environment,
      region: new pulumi.Config('aws').get('region'),
      awsNames: Object.keys(settingsOf('aws', all)),
      settings: settingsOf(project, all),
    });
  } catch (error) {
    if (error instanceof ConfigError) throw new pulumi.RunError(error.message);
    throw error;
  }
}

/** What is under one namespace, such as the project's own: Pulumi hands each value over as text, an object as JSON. */
function settingsOf(
  namespace: string,
  all: Readonly<Record<string, string>>,
): Readonly<Record<string, unknown>> {
  const own = Object.entries(all).filter(([key]) => key.startsWith(`${namespace}:`));
  return Object.fromEntries(own.map(([key, value]) => [key.slice(namespace.length + 1), parse(value)]));
}

function parse(value: string): unknown {
  try {
    return JSON.parse(value);
  } catch {
    // A word by itself, which some rule of the configuration will name.
    return value;
  }
}
