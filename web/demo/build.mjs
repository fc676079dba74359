// The demo: one page, scripts and a style sheet in files of their own, as its policy
// demands, and the licences of what is bundled.
import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build, defaultClientConditions } from 'vite';

const path = (name) => fileURLToPath(new URL(name, import.meta.url));

const config = {
  configFile: false,
  root: path('./'),
  base: './',
  publicDir: false,
  logLevel: 'error', // it warns that a fallback for old versions of Node has no place in a browser
  resolve: { conditions: ['@quicproquo/source', ...defaultClientConditions] }, // the client's sources, not what it is published as
  build: {
    write: false,
    target: 'es2022',
    assetsInlineLimit: 0,
    cssCodeSplit: false,
    modulePreload: false,
    reportCompressedSize: false,
    rollupOptions: {
      output: {
        entryFileNames: 'demo/chat.js',
        codeSplitting: false, // suites that are not used are stubs of a line each
        assetFileNames: 'demo/[name][extname]',
      },
    },
  },
};

/** @returns {Promise<Map<string, Buffer>>} the files of the demo, by path in dist */
export async function demo() {
  const { output } = await build(config);
  const files = new Map();
  for (const part of output) {
    files.set(part.fileName, Buffer.from(part.type === 'chunk' ? part.code : part.source));
  }
  const modules = output.flatMap((part) => (part.type === 'chunk' ? part.moduleIds : []));
  files.set('demo/licences.txt', Buffer.from(licences(modules)));
  return files;
}

/** The licences of the packages that these modules belong to. */
function licences(modules) {
  const roots = modules.map((id) => /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+\//.exec(id)?.[0]).filter((root) => root !== undefined);
  const texts = [...new Set(roots)].map((root) => {
    const { name, version } = JSON.parse(readFileSync(`${root}package.json`, 'utf8'));
    const file = readdirSync(root).find((entry) => /^licen[cs]e/i.test(entry));
    if (file === undefined) throw new Error(`${name} comes without its licence`);
    return `${name} ${version}\n\n${readFileSync(root + file, 'utf8').trim()}\n`;
  });
  return texts.sort().join(`\n${'-'.repeat(72)}\n\n`);
}
