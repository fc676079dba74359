import { defineConfig } from 'vitest/config';

export default defineConfig({
  // The workspace's packages come from their sources.
  resolve: { conditions: ['@quicproquo/source'] },
  ssr: { resolve: { conditions: ['@quicproquo/source', 'module', 'node', 'development|production'] } },
  test: {
    include: ['sdk/test/**/*.test.ts'],
    globalSetup: ['sdk/test/setup.ts'],
    // What hangs is found out; what is only slow, on a machine with much else to do, is not.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 60_000 } },
  },
});
