import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { inject, onTestFinished } from 'vitest';

/** A real qpqd, a process of its own. */
export class Node {
  readonly #data = mkdtempSync(join(tmpdir(), 'qpqd-data-'));
  readonly #flags: readonly string[];
  #process: ChildProcess | undefined;
  /** Where its HTTP door is; the same after a restart. */
  url = '';

  private constructor(flags: readonly string[]) {
    this.#flags = flags;
  }

  /** Starts one that ends with the present test. */
  static async start(...flags: string[]): Promise<Node> {
    const node = new Node(flags);
    onTestFinished(() => node.remove());
    await node.start();
    return node;
  }

  /** Starts one that its caller removes. */
  static async shared(...flags: string[]): Promise<Node> {
    const node = new Node(flags);
    await node.start();
    return node;
  }

  async start(): Promise<void> {
    const listen = this.url === '' ? '127.0.0.1:0' : new URL(this.url).host;
    const listening = join(this.#data, 'listen.json');
    rmSync(listening, { force: true });
    const child = spawn(inject('qpqd'), [
      'serve', '--data-dir', this.#data,
      '--http-listen', listen, '--rpc-listen', '127.0.0.1:0', '--ops-listen', '127.0.0.1:0',
      '--min-free=0%', '--log-level=error', `--audit-file=${join(this.#data, 'audit.log')}`, ...this.#flags,
    ], { stdio: ['ignore', 'ignore', 'inherit'] });
    this.#process = child;
    while (!(await this.#isReady(listening))) { // it is another process: there is nothing but to ask
      if (child.exitCode !== null) throw new Error(`qpqd ended with ${child.exitCode}`);
      await delay(20);
    }
  }

  /** Ends it as a power cut would. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** Asks it to end. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM');
  }

  async remove(): Promise<void> {
    await this.kill();
    rmSync(this.#data, { recursive: true, force: true });
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (!child || child.exitCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  }

  async #isReady(listening: string): Promise<boolean> {
    try {
      this.url = (JSON.parse(readFileSync(listening, 'utf8')) as { http: string }).http;
      return (await fetch(`${this.url}/readyz`)).ok;
    } catch {
      return false;
    }
  }
}
