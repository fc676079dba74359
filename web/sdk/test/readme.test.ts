import { execFile, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Client } from '@quicproquo/client';
import { Node } from './node.js';
import { person } from './people.js';

// Below the package, so that snippets find it by its name, as built; and what it depends on.
const sdk = new URL('../', import.meta.url);
const work = new URL('dist/readme/', sdk);

const snippets = [...readFileSync(new URL('README.md', sdk), 'utf8').matchAll(/^(#+ [^\n]*)$|^```ts\n(.*?)^```$/gms)]
  .reduce<{ title: string; code: string }[]>((found, [, title, code]) => {
    if (title !== undefined) found.push({ title: title.replace(/^#+ /, ''), code: '' });
    else found.push({ title: found.at(-1)?.title ?? '', code: code ?? '' });
    return found;
  }, [])
  .filter(({ code }) => code !== '')
  .map(({ title, code }, index) => ({ title, code, name: `snippet${index}` }));

const ofMls = snippets.filter(({ code }) => code.includes('@quicproquo/client/mls')).map(({ name }) => name);

/** What a snippet takes for granted, but for what it says itself. */
function prelude(code: string): string {
  const lines = ["import * as sdk from '@quicproquo/client';", "const peer = String(process.env['PEER']);"];
  if (!code.includes('const identity =')) lines.push('const identity = await sdk.Identity.generate();');
  const client = "const client = new sdk.Client({ url: 'https://node.example', identity });";
  if (!code.includes('const client =')) lines.push(client);
  if (!code.includes('const channel =')) lines.push('const channel = await client.createChannel(peer);');
  return lines.join('\n');
}

/** The lines that a snippet says that it prints. */
function promised(code: string): string[] {
  return [...code.matchAll(/\/\/ prints (.*)$/gm)].map(([, line]) => line ?? '');
}

let node: Node;
beforeAll(async () => {
  rmSync(new URL('dist/', sdk), { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  for (const { name, code } of snippets) {
    const whole = `${prelude(code)}\n${code}`.replaceAll("'https://node.example'", "String(process.env['NODE_URL'])");
    writeFileSync(new URL(`${name}.ts`, work), whole);
  }
  writeFileSync(new URL('tsconfig.json', work), JSON.stringify({
    extends: '../../../tsconfig.base.json',
    compilerOptions: { noEmit: false, customConditions: [], types: ['node'], noUnusedLocals: false },
    include: ['*.ts'],
  }));
  const tsc = fileURLToPath(new URL('../node_modules/typescript/bin/tsc', sdk));
  // The package is checked elsewhere; its snippets are checked here.
  for (const args of [['tsconfig.build.json', '--noCheck'], ['dist/readme']]) {
    const [project = '', ...options] = args;
    const whole = [tsc, '-p', fileURLToPath(new URL(project, sdk)), ...options];
    await promisify(execFile)(process.execPath, whole).catch((failure: { stdout: string }) => {
      throw new Error(failure.stdout);
    });
  }
  node = await Node.shared('--rate-address=0', '--rate-creates=0');
});
afterAll(() => node.remove());

/** Sends everything back. */
async function echo(client: Client, signal: AbortSignal): Promise<void> {
  for await (const event of client.events({ signal })) {
    if (event.type === 'message') await client.send(event.channelId, event.payload);
  }
}

test('what is packed is what was built, without what tests left there', async () => {
  const options = ['pack', '--dry-run', '--json', '--ignore-scripts', '--offline'];
  const { stdout } = await promisify(execFile)('npm', options, { cwd: fileURLToPath(sdk) });
  const [{ files }] = JSON.parse(stdout) as [{ files: { path: string }[] }];
  const paths = files.map(({ path }) => path);
  for (const path of ['README.md', 'dist/index.js', 'dist/index.d.ts', 'dist/mls/index.js', 'dist/mls/index.d.ts']) {
    expect(paths).toContain(path);
  }
  expect(paths.filter((path) => path.includes('readme') || path.startsWith('test'))).toEqual([]);
});

test('types are found as bundlers look for them', async () => {
  writeFileSync(new URL('tsconfig.bundler.json', work), JSON.stringify({
    extends: './tsconfig.json',
    compilerOptions: { noEmit: true, module: 'esnext', moduleResolution: 'bundler' },
    include: ['snippet0.ts', ...ofMls.map((name) => `${name}.ts`)],
  }));
  const tsc = fileURLToPath(new URL('../node_modules/typescript/bin/tsc', sdk));
  await promisify(execFile)(process.execPath, [tsc, '-p', fileURLToPath(new URL('tsconfig.bundler.json', work))]);
});

test('types are whole in the strictest program of Node, which knows no browser and no ts-mls', async () => {
  writeFileSync(new URL('tsconfig.node.json', work), JSON.stringify({
    extends: './tsconfig.json',
    compilerOptions: { noEmit: true, lib: ['ES2022'], skipLibCheck: false },
    include: ['snippet0.ts', ...ofMls.map((name) => `${name}.ts`)],
  }));
  const tsc = fileURLToPath(new URL('../node_modules/typescript/bin/tsc', sdk));
  await promisify(execFile)(process.execPath, [tsc, '-p', fileURLToPath(new URL('tsconfig.node.json', work))])
    .catch((failure: { stdout: string }) => { throw new Error(failure.stdout); });
});

test('the README has snippets', () => {
  expect(snippets.map(({ title }) => title)).toContain('Start');
});

test.each(snippets)('$title: $name prints what it says', async ({ name, code }) => {
  const other = await person(node);
  const stop = new AbortController();
  const echoing = echo(other, stop.signal);
  const child = spawn(process.execPath, [fileURLToPath(new URL(`${name}.js`, work))], {
    env: { ...process.env, NODE_URL: node.url, PEER: other.identity.address }, stdio: ['ignore', 'pipe', 'inherit'],
  });
  let printed = '';
  const ended = new Promise<number | null>((resolve) => { child.on('close', resolve); });
  child.stdout.setEncoding('utf8');
  const complete = new Promise<void>((resolve) => {
    child.stdout.on('data', (part: string) => {
      printed += part;
      if (promised(code).every((line) => printed.includes(line))) resolve();
    });
  });
  const code0 = await Promise.race([complete.then(() => undefined), ended]);
  for (const line of promised(code)) expect(printed).toContain(line);
  if (code0 !== undefined) expect(code0).toBe(0);
  child.kill();
  await ended;
  stop.abort();
  await echoing;
});
