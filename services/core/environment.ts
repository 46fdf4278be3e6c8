import type { z } from 'zod';

/**
 * The environment of a process by its schema.
 * @param describe one mistake in a line; it alone decides whether the value may be shown
 * @throws Error with a line for each mistake
 */
export function parseEnvironment<T>(
  schema: z.ZodType<T>,
  env: NodeJS.ProcessEnv,
  describe: (name: string, message: string) => string,
): T {
  const parsed = schema.safeParse(env);
  if (parsed.success) return parsed.data;
  const lines = parsed.error.issues.map(({ path, message }) => `  ${describe(String(path[0]), message)}`);
  throw new Error(`The environment is not right:\n${lines.join('\n')}`);
}

/** For a schema's `superRefine`: exactly one of two variables is to be set; a mistake is told of the first. */
export function exactlyOneOf<Name extends string>(name: Name, other: Name) {
  return (env: Readonly<Partial<Record<Name, unknown>>>, context: z.RefinementCtx): void => {
    const mistake = (message: string) => context.addIssue({ code: 'custom', path: [name], message });
    if (env[name] !== undefined && env[other] !== undefined) {
      mistake(`is set, and so is ${other}; one of them is enough`);
    }
    if (env[name] === undefined && env[other] === undefined) mistake(`or ${other} is needed`);
  };
}
