import { defineConfig } from 'vitest/config';
import {
  engineTools,
  type GoToolName,
  haveGoTools,
  howToHaveGoTools,
  kubernetesTools,
} from './test/support/go-tools.ts';

const faults = 'test/faults/**/*.test.ts';
const cloudFaults = 'test/faults/cloud.test.ts';

/** Suites that run programs which are built once, in minutes. CI requires all; elsewhere they run where those are there. */
const suites: readonly (readonly [string, readonly GoToolName[]])[] = [
  ['test/engine/**', engineTools],
  ['test/kubernetes/**', kubernetesTools],
];
const absent = suites.filter(([, tools]) => process.env.REQUIRE_ALL !== '1' && !haveGoTools(tools));
for (const [files, tools] of absent) console.warn(`Left out: ${files}. ${howToHaveGoTools(tools)}`);
const leftOut = absent.map(([files]) => files);

export default defineConfig({
  test: {
    projects: [
      {
        extends: true,
        test: { name: 'tests', include: ['test/**/*.test.ts'], exclude: [faults, ...leftOut] },
      },
      // By itself, when the others are done: it takes the whole machine, and would make them late.
      {
        extends: true,
        test: { name: 'faults', include: [faults], exclude: [cloudFaults], sequence: { groupOrder: 1 } },
      },
      { extends: true, test: { name: 'cloud faults', include: [cloudFaults], sequence: { groupOrder: 2 } } },
    ],
    testTimeout: 60_000,
    // What is waited for comes at once, but on a machine that is busy with other things.
    expect: { poll: { timeout: 20_000 } },
    // Making an environment for the first time takes a while.
    hookTimeout: 240_000,
    pool: 'forks',
    // Each file may run servers of its own.
    maxWorkers: 2,
    reporters: ['default', ['json', { outputFile: '.cache/test-report.json' }]],
  },
});
