import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  export interface ProvidedContext {
    /** The binary that was built for this run. */
    qpqd: string;
  }
}

/** Builds the node once; or takes the binary that QPQD names. */
export default function setup(project: TestProject): (() => void) | undefined {
  const given = process.env['QPQD'];
  if (given !== undefined) {
    project.provide('qpqd', given);
    return undefined;
  }
  const dir = mkdtempSync(join(tmpdir(), 'qpqd-'));
  const qpqd = join(dir, 'qpqd');
  const module = new URL('../../..', import.meta.url);
  execFileSync('go', ['build', '-o', qpqd, './cmd/qpqd'], { cwd: module, stdio: 'inherit' });
  project.provide('qpqd', qpqd);
  return () => rmSync(dir, { recursive: true, force: true });
}
