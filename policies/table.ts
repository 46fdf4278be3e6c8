import type { Policy } from './policy.ts';

/** The pack as a table in Markdown: name, level, sentence and settings with their defaults. */
export function policyTable(policies: readonly Policy[]): string {
  const rows = policies.map((policy) => [
    `\`${policy.name}\``,
    policy.enforcementLevel,
    policy.description,
    settingsOf(policy),
  ]);
  const lines = [
    ['policy', 'level', 'what should be', 'settings, with their defaults'],
    ['-', '-', '-', '-'],
    ...rows,
  ];
  return lines
    .map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`)
    .join('\n');
}

function settingsOf({ configSchema }: Policy): string {
  return Object.entries(configSchema?.properties ?? {})
    .map(
      ([name, { description, default: value }]) =>
        `\`${name}\`: ${description}. \`${JSON.stringify(value)}\``,
    )
    .join('<br>');
}
