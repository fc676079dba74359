// Prints how large the package is for a page that uses all of it: minified, and gzipped as servers do it.
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'vite';

for (const [name, entry] of [['@quicproquo/client', 'src/index.ts'], ['@quicproquo/client/mls without ts-mls', 'src/mls/index.ts']]) {
  const { output: [{ code }] } = await build({
    configFile: false, logLevel: 'error', resolve: { conditions: ['@quicproquo/source'] },
    build: {
      write: false,
      rolldownOptions: {
        input: fileURLToPath(new URL(entry, import.meta.url)),
        preserveEntrySignatures: 'strict', external: [/^ts-mls/, /^@noble\//],
      },
    },
  });
  console.log(`${name}: ${code.length} bytes minified, ${gzipSync(code, { level: 9 }).length} gzipped`);
}
