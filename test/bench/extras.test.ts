import { describe, expect, it } from 'vitest';
import { watchMemory } from '../../bench/memory.ts';
import { figuresOfSide, type PeersSummary } from '../../bench/peers.ts';
import { formatReport, type Setting } from '../../bench/report.ts';
import { latenessOf } from '../../bench/summary.ts';

const setting: Setting = {
  command: 'npm run bench -- --all',
  cpus: '2 × CPU',
  node: 'v24',
  cog: '0.23.1',
  rounds: 1,
  seconds: 2,
  loadBefore: 0,
};
const mebibyte = 1024 * 1024;
const even = (value: number) => ({ median: value, least: value, most: value });
const nothing = { load: [], streams: [], cold: undefined };

function round(perSecond: number) {
  return { p50Ms: 1000 / perSecond, p95Ms: 2, p99Ms: 3, perSecond, retriesEach: 0 };
}

function report(measured: Parameters<typeof formatReport>[1]): string {
  return formatReport(setting, measured, []).replace(/ {2,}/g, ' | ');
}

describe('a side of a comparison', () => {
  it('is compared with the first one within each round', () => {
    const rounds = [
      [round(1000), round(500)],
      [round(100), round(50)],
    ];

    expect(figuresOfSide('peer', 8, rounds, 1).toBare).toEqual(even(0.5));
    expect(figuresOfSide('bare', 8, rounds, 0).toBare).toEqual(even(1));
  });
});

describe('the report', () => {
  it('tells of a large file with the memory that it took', () => {
    const memory = { beforeBytes: 100 * mebibyte, peakBytes: 112 * mebibyte };
    const large = { megabytes: 200, upload: even(300), model: even(150), download: even(400), memory };

    expect(report({ ...nothing, large })).toContain('300 (300 – 300) | 150 (150 – 150) | 400');
    expect(report({ ...nothing, large })).toContain('12 MiB at most');
  });

  it('tells what a queued prediction takes', () => {
    const queued = {
      predictions: 10_000,
      createdPerSecond: 1500,
      drainedPerSecond: 700,
      memory: { beforeBytes: 0, peakBytes: 20 * mebibyte },
      bytesEach: 1536,
    };

    expect(report({ ...nothing, queued })).toContain('1500 | 700 | 20 MiB at most | 1.5 KiB');
  });

  it('names the peers that were measured, what they leave out, and those that could not be had', () => {
    const peers: PeersSummary = {
      figures: [figuresOfSide('LitServe', 1, [[round(1000), round(800)]], 1)],
      memoryBytes: { LitServe: 90 * mebibyte },
      firstToken: { LitServe: latenessOf([1.5]) },
      missing: [{ name: 'Ray Serve', reason: 'it did not start\nand more' }],
    };
    const told = report({ ...nothing, peers });

    expect(told).toContain('LitServe | 1.25 (1.25 – 1.25) | 3.0 (3.0 – 3.0) | 800 (800 – 800) | × 0.80');
    expect(told).toContain('LitServe | 90 MiB | 1.50 / 1.50');
    expect(told).toContain('Peers keep no record, bill nothing');
    expect(told).toMatch(/^Ray Serve: it did not start$/m);
  });
});

describe('memory that is watched', () => {
  it('has grown by what was taken', async () => {
    const { result, memory } = await watchMemory(process.pid, async () => Buffer.alloc(64 * mebibyte, 1));

    expect(result).toHaveLength(64 * mebibyte);
    expect(memory.peakBytes - memory.beforeBytes).toBeGreaterThan(30 * mebibyte);
  });
});
