import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 60_000,
    // Making an environment for the first time takes a while.
    hookTimeout: 240_000,
    pool: 'forks',
    // Each file may run servers of its own.
    maxWorkers: 2,
    reporters: ['default', ['json', { outputFile: '.cache/test-report.json' }]],
  },
});
