import { QuicproquoError } from '../errors.js';
import { suiteId } from './group.js';
import type { Desk } from './ledger.js';
import { Loop } from './loop.js';
import { keyPackageKey, keyPackagePrefix } from './records.js';
import type { KeyPackageRecord } from './records.js';
import type { Update } from './vault.js';
import { pauseAfter } from './waiting.js';

const hour = 3600;
const day = 24 * hour;

/** The node hands one-time packages out for a day. */
const oneTimeLife = 2 * day;
/** The node keeps last-resort packages, and their lifetime may span, 90 days. */
const lastResortLife = 80 * day;
/** A new last-resort package comes this long before the old one's end. */
const lastResortRenewal = 40 * day;
/** So long after a package was last handed out a Welcome to it may still be waiting in the queue. */
const welcomeDelay = 8 * day;

/** So many packages have their secrets kept: beyond it, a node that never has enough gets no more. */
const mostKept = 2000;

/** At most so many packages in a request. */
const batchSize = 100;

/** Keeps the node supplied with key packages, so that conversations can begin while this device is away. */
export class KeyPackages {
  readonly #desk: Desk;
  readonly #wanted: number;
  readonly #loop = new Loop(() => this.#run());
  #failures = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(desk: Desk, wanted: number) {
    this.#desk = desk;
    this.#wanted = wanted;
  }

  /** Looks what the node holds, and supplies what is missing. */
  refill(): void {
    if (this.#desk.signal.aborted) return;
    clearTimeout(this.#timer);
    this.#loop.wake();
  }

  async stopped(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#loop.idle();
  }

  async #run(): Promise<void> {
    try {
      if (!this.#desk.signal.aborted) await this.#supply();
      this.#failures = 0;
    } catch (error) {
      if (this.#desk.signal.aborted) return;
      if (!(error instanceof QuicproquoError)) return this.#desk.failed(error);
      this.#timer = setTimeout(() => this.refill(), pauseAfter(this.#failures++, error));
    }
  }

  async #supply(): Promise<void> {
    const now = Math.floor(Date.now() / 1000);
    const kept = await this.#purge(now);
    if (kept.length >= mostKept) return;
    const stock = (await this.#desk.client.keyPackageStatus()).find(({ suite }) => suite === suiteId);
    const missing = this.#wanted - (stock?.oneTime ?? 0);
    for (let left = missing; left > 0 && !this.#desk.signal.aborted; left -= batchSize) {
      await this.#upload(Math.min(left, batchSize), now, false);
    }
    const fresh = kept.some(({ lastResort, validUntil }) => lastResort && validUntil - now > lastResortRenewal);
    // A last-resort package that was used is replaced: who takes its secrets later reads all Welcomes to it.
    if (!stock?.lastResort || stock.lastResortUses > 0 || !fresh) await this.#renewLastResort(kept, now);
  }

  /** Forgets the secrets that no Welcome can need any more; returns the records that stay. */
  async #purge(now: number): Promise<KeyPackageRecord[]> {
    const kept = (await this.#desk.vault.list<KeyPackageRecord>({ prefix: keyPackagePrefix })).map(([, record]) => record);
    const over = kept.filter(({ keepUntil }) => keepUntil < now);
    if (over.length > 0) await this.#desk.vault.write(over.map(({ ref }) => [keyPackageKey(ref), undefined] as const));
    return kept.filter(({ keepUntil }) => keepUntil >= now);
  }

  async #renewLastResort(kept: readonly KeyPackageRecord[], now: number): Promise<void> {
    await this.#upload(1, now, true);
    const replaced = kept.filter(({ lastResort, keepUntil }) => lastResort && keepUntil > now + welcomeDelay);
    const updates = replaced.map((record): Update => {
      const shortened: KeyPackageRecord = { ...record, keepUntil: now + welcomeDelay, validUntil: now };
      return [keyPackageKey(record.ref), shortened];
    });
    if (updates.length > 0) await this.#desk.vault.write(updates);
  }

  /** The secrets are kept before the packages are given away; those that are refused are forgotten. */
  async #upload(count: number, now: number, lastResort: boolean): Promise<void> {
    const validUntil = now + (lastResort ? lastResortLife : oneTimeLife);
    const made = await Promise.all(Array.from({ length: count }, () => this.#desk.mls.keyPackage(now - hour, validUntil)));
    await this.#desk.vault.write(made.map(({ message, ...secrets }): Update => {
      const record: KeyPackageRecord = { ...secrets, lastResort, validUntil, keepUntil: validUntil + welcomeDelay };
      return [keyPackageKey(secrets.ref), record];
    }));
    try {
      await this.#desk.client.uploadKeyPackages(made.map(({ message }) => message), { lastResort });
    } catch (error) {
      const isRefused = error instanceof QuicproquoError && error.code !== 'unavailable' && error.code !== 'internal';
      if (isRefused) await this.#desk.vault.write(made.map(({ ref }) => [keyPackageKey(ref), undefined] as const));
      throw error;
    }
  }
}
