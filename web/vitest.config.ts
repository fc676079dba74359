import { defineConfig } from 'vitest/config';

export default defineConfig({
  // The workspace's packages come from their sources.
  resolve: { conditions: ['source'] },
  ssr: { resolve: { conditions: ['source', 'module', 'node', 'development|production'] } },
  test: {
    include: ['sdk/test/**/*.test.ts'],
    globalSetup: ['sdk/test/setup.ts'],
    testTimeout: 20_000,
    hookTimeout: 120_000,
  },
});
