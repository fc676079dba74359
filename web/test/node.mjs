import { execFile, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** Below those that systems give to programs that name none: nobody takes a node's port while it is dead. */
const anyPort = () => randomInt(20_000, 32_000);

const repository = fileURLToPath(new URL('../../', import.meta.url));

/** Builds qpqd, which costs nothing where it is up to date; QPQD names one that is built already. */
export async function build() {
  if (process.env['QPQD']) return process.env['QPQD'];
  const binary = join(repository, 'bin/qpqd');
  await promisify(execFile)(process.env['GO'] ?? 'go', ['build', '-o', binary, './cmd/qpqd'], { cwd: repository });
  return binary;
}

/** A real qpqd with a data directory of its own, which can die and come back at the same address. */
export class Node {
  #binary;
  #flags;
  #process;
  dataDir;
  origin;

  static async start(...flags) {
    const node = new Node();
    node.#binary = await build();
    node.#flags = flags;
    node.dataDir = await mkdtemp(join(tmpdir(), 'qpqd-'));
    for (;;) {
      try {
        await node.#run(`127.0.0.1:${anyPort()}`);
        return node;
      } catch (error) {
        if (!/address already in use/.test(error.message)) throw error;
      }
    }
  }

  /** Runs with a node of its own, which ends whatever comes. */
  static async with(flags, run) {
    const node = await Node.start(...flags);
    try {
      await run(node);
    } finally {
      await node.stop();
    }
  }

  /** Dies as in a power cut. */
  async kill() {
    await this.#end('SIGKILL');
  }

  async restart() {
    await this.#run(new URL(this.origin).host);
  }

  /** For good. */
  async stop() {
    await this.#end('SIGTERM');
    await rm(this.dataDir, { recursive: true });
  }

  async #run(address) {
    const flags = ['serve', '--data-dir', this.dataDir, '--http-listen', address, '--rpc-listen', '', '--ops-listen', '', '--min-free', '0%'];
    this.#process = spawn(this.#binary, [...flags, ...this.#flags], { stdio: ['ignore', 'ignore', 'pipe'] });
    const said = [];
    for await (const line of createInterface(this.#process.stderr)) {
      said.push(line);
      const serving = / msg="the node is serving" http=(\S+)/.exec(line);
      if (!serving) continue;
      this.origin = serving[1];
      this.#process.stderr.resume(); // or it blocks once the pipe is full
      return;
    }
    throw new Error(`qpqd did not start:\n${said.join('\n')}`);
  }

  async #end(signal) {
    const ended = once(this.#process, 'exit');
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      this.#process.kill(signal);
      await ended;
    }
  }
}
