import { defaultKeyPackageEqualityConfig, defaultPaddingConfig, encodeGroupState } from 'ts-mls';
import type { ClientConfig, ClientState } from 'ts-mls';

/** An epoch's messages can be read for so many epochs after; `Succession` commits no faster than that allows. */
export const epochsKept = 4;

/** A group of two takes some 4 KiB; its state is written with every message, so that a peer may not make it large. */
const stateLimit = 256 * 1024;

/** Something authentic, or a key package, that would do what conversations of two do not do. */
export class Refused extends Error {}

/** Whose leaves a group may have. */
export interface Members {
  readonly own: Uint8Array;
  readonly peer: Uint8Array;
}

export function configOf(members: Members): ClientConfig {
  return watch(members).config;
}

/** A configuration that lets in only the two, and remembers why it refused: ts-mls throws one error for all. */
export function watch(members: Members) {
  const watched = {
    refusal: undefined as Refused | undefined,
    refuse: (why: string): void => { watched.refusal ??= new Refused(why); },
    config: {
      keyPackageEqualityConfig: defaultKeyPackageEqualityConfig,
      paddingConfig: defaultPaddingConfig,
      keyRetentionConfig: { retainKeysForGenerations: 16, retainKeysForEpochs: epochsKept, maximumForwardRatchetSteps: 10_000 },
      lifetimeConfig: { maximumTotalLifetime: 90n * 86_400n, validateLifetimeOnReceive: false },
      authService: {
        validateCredential: (_credential: unknown, key: Uint8Array) => {
          const known = equal(key, members.own) || equal(key, members.peer);
          if (!known) watched.refuse('a signature key that is neither one’s own nor the peer’s');
          return Promise.resolve(known);
        },
      },
    } satisfies ClientConfig,
  };
  return watched;
}

/** One leaf is one's own, the other is the peer's, and there is no third. */
export function checkMembers(state: ClientState, { own, peer }: Members): void {
  const leaves = state.ratchetTree.flatMap((node, index) => (node?.nodeType === 'leaf' ? [{ index, leaf: node.leaf }] : []));
  const mine = leaves.find(({ index }) => index === 2 * state.privatePath.leafIndex);
  const other = leaves.find((leaf) => leaf !== mine);
  if (leaves.length !== 2 || !mine || !other) throw new Refused('not a group of two');
  if (!equal(mine.leaf.signaturePublicKey, own)) throw new Refused('one’s own leaf has another key');
  if (!equal(other.leaf.signaturePublicKey, peer)) throw new Refused('the other leaf is not the peer’s');
  if (state.groupActiveState.kind !== 'active') throw new Refused('the group was ended');
  if (encodeGroupState(state).length > stateLimit) throw new Refused('a group that is larger than two need');
}

export function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
