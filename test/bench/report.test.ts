import { describe, expect, it } from 'vitest';
import { formatReport, type Setting } from '../../bench/report.ts';
import type { StreamSummary } from '../../bench/stream.ts';
import { latenessOf, summarizeLoad } from '../../bench/summary.ts';
import { judge, type Measured } from '../../bench/targets.ts';

const setting: Setting = {
  command: 'npm run bench',
  cpus: '2 × CPU',
  node: 'v24',
  cog: '0.23.1',
  rounds: 1,
  seconds: 2,
  loadBefore: 0,
};

function round(p50Ms: number, p99Ms: number, perSecond: number) {
  return { p50Ms, p95Ms: p99Ms, p99Ms, perSecond, retriesEach: 0 };
}

function stream(side: 'bare' | 'mimeo', lateMs: number): StreamSummary {
  const late = latenessOf([lateMs]);
  return { delayMs: 5, streams: 1, side, first: late, every: late };
}

/** Exactly at every limit. */
const atLimits: Measured = {
  load: [
    summarizeLoad(1, [{ bare: round(1, 2, 1000), mimeo: round(2, 4, 500) }]),
    summarizeLoad(8, [{ bare: round(5, 40, 1000), mimeo: round(8, 20, 1000) }]),
  ],
  streams: [stream('bare', 0.4), stream('mimeo', 10)],
  cold: {
    bareMs: { median: 300, least: 290, most: 310 },
    mimeoMs: { median: 400, least: 380, most: 420 },
    addedMs: 100,
    wakeMs: { median: 12, least: 9, most: 20 },
    handOverMs: { median: 3, least: 2, most: 4 },
  },
};

function missed(measured: Measured): string[] {
  return judge(measured).flatMap(({ target, met }) => (met ? [] : [target]));
}

describe('the targets', () => {
  it('are met at their limits', () => {
    expect(judge(atLimits)).toHaveLength(5);
    expect(missed(atLimits)).toEqual([]);
  });

  it.each<[string, Measured]>([
    [
      '1-clients-p50Ms',
      {
        ...atLimits,
        load: [summarizeLoad(1, [{ bare: round(1, 2, 1000), mimeo: round(2.01, 4, 500) }])],
      },
    ],
    [
      '8-clients-perSecond',
      {
        ...atLimits,
        load: [summarizeLoad(8, [{ bare: round(5, 40, 1000), mimeo: round(8, 20, 999) }])],
      },
    ],
    [
      '8-clients-p99Ms',
      {
        ...atLimits,
        load: [summarizeLoad(8, [{ bare: round(5, 40, 1000), mimeo: round(8, 20.1, 1000) }])],
      },
    ],
    ['first-token-5ms', { ...atLimits, streams: [stream('bare', 0.4), stream('mimeo', 10.1)] }],
    ['cold-start', { ...atLimits, cold: atLimits.cold && { ...atLimits.cold, addedMs: 100.1 } }],
  ])('%s is missed beyond its limit', (target, measured) => {
    expect(missed(measured)).toEqual([target]);
  });

  it('on what was not measured are not judged', () => {
    expect(judge({ load: [], streams: [], cold: undefined })).toEqual([]);
  });
});

describe('the report', () => {
  it('shows both sides, the ratio and the verdict in one line', () => {
    const line = formatReport(setting, atLimits, judge(atLimits))
      .split('\n')
      .find((text) => text.includes('p50, ms'));
    expect(line).toMatch(
      /1\.00 \(1\.00 – 1\.00\) +2\.00 \(2\.00 – 2\.00\) +× 2\.00 .* at most × 2 ✓ \(stretch × 1\.7 ✗\)$/,
    );
  });

  it('says how many targets were missed', () => {
    const slow = { ...atLimits, streams: [stream('bare', 0.4), stream('mimeo', 11)] };
    expect(formatReport(setting, atLimits, judge(atLimits))).toContain('Every target holds.');
    expect(formatReport(setting, slow, judge(slow))).toContain('1 of 5 targets missed.');
  });

  it('leaves out what was not measured', () => {
    const only: Measured = { load: [], streams: [], cold: atLimits.cold };
    const text = formatReport(setting, only, judge(only));
    expect(text).toContain('Cold start from zero');
    expect(text).toMatch(/prediction to process, ms +– +12 \(9 – 20\)/);
    expect(text).not.toContain('client');
  });
});
