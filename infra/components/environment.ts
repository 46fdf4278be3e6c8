import type * as pulumi from '@pulumi/pulumi';
import type { z } from 'zod';

type Required<In> = { [Name in keyof In]-?: undefined extends In[Name] ? never : Name }[keyof In];

/**
 * The variables that a service is given, by the schema of its own env.ts: one that it needs and is not given does not
 * compile, nor does one that it does not know.
 */
export type ServiceEnvironment<Schema extends z.ZodObject> = {
  readonly [Name in Required<z.input<Schema>>]: pulumi.Input<string>;
} & {
  readonly [Name in Exclude<keyof z.input<Schema>, Required<z.input<Schema>>>]?: pulumi.Input<string>;
};
