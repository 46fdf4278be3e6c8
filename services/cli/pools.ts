import type { PoolAnswer } from './answers.ts';

/** Digits of a version's id that tell it from its siblings. */
const versionDigits = 12;

/** What pools do and why, for a person: a paragraph for each. @param now epoch ms */
export function describePools(pools: readonly PoolAnswer[], now: number): string {
  if (pools.length === 0) {
    return 'No model of yours had a prediction in the last day. Run one: npx mimeo run OWNER/NAME';
  }
  return pools.map((pool) => describePool(pool, now).join('\n')).join('\n\n');
}

function describePool(pool: PoolAnswer, now: number): string[] {
  const { model, version, hardware, queued, running, desired, reason, breaker, instances } = pool;
  const wanted = desired === null ? '' : `, ${desired} wanted`;
  const shares = [`${queued} waiting`, `${running} running`, `${counted(instances.length)}${wanted}`];
  const lines = [`${model}:${version.slice(0, versionDigits)}  ${hardware}`, `  ${shares.join(', ')}`];
  lines.push(`  why: ${reason ?? 'the director has not looked at it yet'}`);
  if (breaker) {
    lines.push(`  setup fails: ${breaker.message}`, `  see: npx mimeo logs ${model} --setup`);
  }
  for (const { id, phase, since, running: jobs, failure, detail } of instances) {
    const doing = phase === 'ready' ? (jobs > 0 ? `runs ${jobs}` : 'idle') : '';
    const parts = [shortId(id), phase.padEnd(8), `for ${elapsed(Date.parse(since), now)}`, doing];
    const why = failure?.message ?? detail;
    lines.push(`    ${parts.filter(Boolean).join('  ')}${why ? `: ${why}` : ''}`);
  }
  return lines;
}

function counted(instances: number): string {
  return instances === 1 ? '1 instance' : `${instances} instances`;
}

/** An instance's id as far as it tells it from the others of its pool: a pod's name begins with the pool's own. */
export function shortId(id: string): string {
  const suffix = /^m-[0-9a-f]{32}-(.+)$/.exec(id)?.[1];
  return suffix ?? (id.length > 14 ? id.slice(0, 10) : id);
}

/** The time that has passed, in its two largest units: `42 s`, `3 min 5 s`, `2 h 10 min`, `4 d 1 h`. */
function elapsed(from: number, to: number): string {
  const seconds = Math.max(0, Math.floor((to - from) / 1000));
  const [minutes, hours, days] = [60, 3600, 86_400].map((unit) => Math.floor(seconds / unit)) as [
    number,
    number,
    number,
  ];
  if (minutes === 0) return `${seconds} s`;
  if (hours === 0) return `${minutes} min ${seconds % 60} s`;
  return days === 0 ? `${hours} h ${minutes % 60} min` : `${days} d ${hours % 24} h`;
}
