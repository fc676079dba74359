import { QuicproquoError } from '../errors.js';
import { suiteId } from './group.js';
import type { Group } from './group.js';
import type { Desk, Ledger } from './ledger.js';
import { epochsKept } from './policy.js';
import type { EntryRecord } from './records.js';
import { replaced } from './standing.js';
import type { Pending } from './standing.js';
import type { Transcript } from './transcript.js';
import { Waiters, randomId } from './waiting.js';

/**
 * How one group, or epoch, follows another by this side's doing. A Welcome or a commit goes out with `ifHead`, as
 * `pending`, and nothing else is handled until its fate is known: it is stored, which puts the next group in force, or
 * it was overtaken, which leaves all as it was. Both sides read the channel in one order, so the first one counts.
 */
export class Succession {
  readonly updated = new Waiters();
  readonly regrouped = new Waiters();
  readonly #desk: Desk;
  readonly #ledger: Ledger;
  readonly #transcript: Transcript;
  readonly #peer: Uint8Array;
  /** Handles all that the node holds; resolves with the head up to which nothing is unknown then. */
  readonly #catchUp: () => Promise<number>;

  constructor(desk: Desk, ledger: Ledger, transcript: Transcript, peer: Uint8Array, catchUp: () => Promise<number>) {
    this.#desk = desk;
    this.#ledger = ledger;
    this.#transcript = transcript;
    this.#peer = peer;
    this.#catchUp = catchUp;
  }

  /** Whether an update of keys is wanted and possible: the peer may still send from as many epochs back as are kept. */
  get updateDue(): boolean {
    return this.updated.waiting && this.#ledger.standing.unanswered < epochsKept - 1;
  }

  /** In how many milliseconds a group is to be begun, if things stay as they are; undefined: not at all. */
  groupDue(waiting: boolean): number | undefined {
    const { state, wanted, attempts, foundedAt } = this.#ledger.standing;
    if (this.regrouped.waiting) return 0;
    if (state === 'starting') return wanted || waiting ? 0 : undefined;
    if (state !== 'broken' || !this.#desk.heal) return undefined;
    // Ever slower while the peer answers none of the new groups.
    return attempts === 0 ? 0 : Math.max(0, foundedAt + Math.min(3_600_000, 1000 * 4 ** attempts) - Date.now());
  }

  /** Begins a group, unless what the node holds brings one. */
  async found(): Promise<void> {
    const before = this.#ledger.standing.group;
    const ifHead = await this.#catchUp();
    const { group, peer, claimId = crypto.getRandomValues(new Uint8Array(16)) } = this.#ledger.standing;
    if (group?.id !== before?.id) return;
    // Kept, so that a claim whose answer is lost costs the peer no second package.
    if (!this.#ledger.standing.claimId) await this.#ledger.put({ ...this.#ledger.standing, claimId });
    const { keyPackage } = await this.#desk.client.claimKeyPackage(peer, { suites: [suiteId], claimId });
    const { group: next, welcome } = await this.#foundWith(keyPackage);
    await this.#ledger.put({
      ...this.#ledger.standing, claimId: undefined,
      pending: { kind: 'welcome', payload: welcome, messageId: randomId(), ifHead, next },
    });
  }

  /** Renews one's own keys, unless what the node holds brings a commit of the peer. */
  async commit(group: Group): Promise<void> {
    const { next, payload } = await group.commit();
    const pending = { kind: 'commit' as const, payload, messageId: randomId(), ifHead: await this.#catchUp(), next };
    if (this.#fits(pending, group)) await this.#ledger.put({ ...this.#ledger.standing, pending });
  }

  /** Sends what is pending. If this rejects it may be stored or not, and is to be settled again. */
  async settle(pending: Pending): Promise<void> {
    const { messageId, ifHead, payload } = pending;
    const { id } = this.#ledger.standing;
    try {
      const receipt = await this.#desk.client.send(id, payload, { messageId, ifHead });
      await this.#stored(pending, receipt.seq, receipt.receivedAt.getTime());
    } catch (error) {
      if (!(error instanceof QuicproquoError) || error.code !== 'precondition_failed') throw error;
      await this.#overtaken(pending);
    }
  }

  async #foundWith(keyPackage: Uint8Array) {
    try {
      return await this.#desk.mls.found(this.#peer, keyPackage);
    } catch (cause) {
      await this.#ledger.put({ ...this.#ledger.standing, claimId: undefined });
      throw new QuicproquoError('key_package_not_found', 'the node handed out a key package that cannot be used', { cause });
    }
  }

  /** Not stored, and never to be, for the head that it asked for is past. Its bytes may be offered again for a later one. */
  async #overtaken(pending: Pending): Promise<void> {
    const before = this.#ledger.standing.group;
    await this.#ledger.put({ ...this.#ledger.standing, pending: undefined });
    const ifHead = await this.#catchUp();
    if (this.#fits(pending, before)) await this.#ledger.put({ ...this.#ledger.standing, pending: { ...pending, ifHead } });
  }

  /** Whether what was made of a group still follows the present one. */
  #fits({ kind }: Pending, made: Group | undefined): boolean {
    const { group, state } = this.#ledger.standing;
    return group?.id === made?.id && (kind === 'welcome' || (state === 'active' && group?.epoch === made?.epoch));
  }

  async #stored({ kind, next }: Pending, seq: number, time: number): Promise<void> {
    const before = this.#ledger.standing;
    if (kind === 'commit' && before.group) {
      const group = next.following(before.group);
      await this.#ledger.put({ ...before, pending: undefined, group, unanswered: before.unanswered + 1 });
      this.updated.resolve();
    } else {
      const entry: EntryRecord | undefined = before.groups.length > 0 || before.state === 'broken'
        ? { notice: 'reestablished', seq, from: seq, time } : undefined;
      const standing = { ...replaced(before, next), attempts: before.attempts + 1, foundedAt: Date.now() };
      await this.#ledger.put(standing, ...(entry ? await this.#transcript.keep(entry) : []));
      if (entry) this.#transcript.add(entry);
      this.regrouped.resolve();
    }
    this.#ledger.changed();
  }
}
