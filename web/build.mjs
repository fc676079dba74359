// Builds dist: the demo and the API reference, the same bytes from every run. With
// --check it writes nothing, and fails if what is there is something else.
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { demo } from './demo/build.mjs';
import { reference } from './docs/build.mjs';

const target = fileURLToPath(new URL('./dist/', import.meta.url));

/** @returns {Promise<Map<string, Buffer>>} the files of dist, by path */
async function build() {
  const files = await demo();
  for (const [name, data] of reference()) files.set(`docs/${name}`, data);
  return files;
}

function check(files) {
  const there = readdirSync(target, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(target, `${entry.parentPath}/${entry.name}`));
  const differ = [...files.keys()].filter((path) => !there.includes(path) || !readFileSync(target + path).equals(files.get(path)));
  const superfluous = there.filter((path) => !files.has(path));
  if (differ.length + superfluous.length > 0) {
    console.error(`web/dist is not up to date (npm run build): ${[...differ, ...superfluous].join(' ')}`);
    process.exitCode = 1;
  }
}

function write(files) {
  rmSync(target, { recursive: true, force: true });
  for (const [path, data] of files) {
    mkdirSync(dirname(target + path), { recursive: true });
    writeFileSync(target + path, data);
  }
}

const files = await build();
if (process.argv.includes('--check')) check(files);
else write(files);
