/** How a value says that it is a secret's ARN. */
const secretArn = /^arn:[\w-]+:secretsmanager:/;

/**
 * The environment with its secrets in place of their ARNs: a value `arn:aws:secretsmanager:…` is replaced by that
 * secret's text. Variables whose names end in `_ARN` are meant as ARNs, and stay.
 * @throws Error with a line for each secret that cannot be read; it names the variable and shows no secret
 */
export async function resolveSecrets(env: NodeJS.ProcessEnv): Promise<NodeJS.ProcessEnv> {
  const named = Object.entries(env).flatMap(([name, value]) =>
    value !== undefined && secretArn.test(value) && !name.endsWith('_ARN') ? [{ name, arn: value }] : [],
  );
  if (named.length === 0) return env;
  // Services that are given no secret do not load what reads them.
  const { createSecretsManager } = await import('./ports/secrets/secrets-manager.ts');
  const secrets = createSecretsManager();
  try {
    const texts = await Promise.allSettled(named.map(async ({ arn }) => secrets.get(arn)));
    const resolved = { ...env };
    const mistakes: string[] = [];
    for (const [at, { name }] of named.entries()) {
      const text = texts[at];
      if (text?.status === 'fulfilled' && text.value !== undefined) resolved[name] = text.value;
      else mistakes.push(`  ${name}: its secret ${whyUnread(text)}`);
    }
    if (mistakes.length > 0) throw new Error(`The environment is not right:\n${mistakes.join('\n')}`);
    return resolved;
  } finally {
    secrets.close();
  }
}

function whyUnread(text: PromiseSettledResult<unknown> | undefined): string {
  if (text?.status !== 'rejected') return 'has no text';
  const { reason } = text;
  return `cannot be read: ${reason instanceof Error ? `${reason.name}: ${reason.message}` : String(reason)}`;
}
