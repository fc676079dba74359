// This and policy.ts are the only files that know ts-mls 1.6.4: version 2 has another API and another format of states.
import {
  createApplicationMessage, createCommit, createGroup, decodeGroupState, decodeMlsMessage,
  emptyPskIndex, encodeGroupState, encodeMlsMessage, generateKeyPackageWithKey, getCiphersuiteFromName,
  getCiphersuiteImpl, joinGroup, processMessage,
} from 'ts-mls';
import type {
  Capabilities, CiphersuiteImpl, ClientState, KeyPackage, PrivateMessage, Welcome,
} from 'ts-mls';
import { addHistoricalReceiverData } from 'ts-mls/clientState.js';
import { makeKeyPackageRef } from 'ts-mls/keyPackage.js';
import { encodeBase64url } from '../base64url.js';
import { Refused, checkMembers, configOf, equal, watch } from './policy.js';
import type { Members } from './policy.js';
import type { MessengerIdentity } from './ports.js';

type Bytes = Uint8Array<ArrayBuffer>;

/** MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519. */
export const suiteId = 1;
const suiteName = 'MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519';

/** Without GREASE, so that the same profile always says the same. Wire adds nobody who does not know x509. */
const capabilities: Capabilities = {
  versions: ['mls10'], ciphersuites: [suiteName], extensions: [], proposals: [], credentials: ['basic', 'x509'],
};

/** A key package of one's own, with what opens a Welcome to it. */
export interface OwnKeyPackage {
  /** Its reference (RFC 9420 section 5.2), by which a Welcome names it. */
  readonly ref: string;
  readonly publicPackage: Bytes;
  readonly initPrivateKey: Bytes;
  readonly encryptionPrivateKey: Bytes;
}

/** What arrived, before any key is asked. */
export type Parsed =
  | { readonly kind: 'welcome'; readonly welcome: Welcome; readonly refs: readonly string[] }
  | { readonly kind: 'private'; readonly groupId: string; readonly epoch: number; readonly message: PrivateMessage }
  | { readonly kind: 'foreign' };

/** What a private message was. Stale: the loser of a race for an epoch, or a proposal, which we do not take. */
export type Opened =
  | { readonly kind: 'message'; readonly content: Bytes; readonly group: Group }
  | { readonly kind: 'commit'; readonly group: Group }
  | { readonly kind: 'ignored'; readonly group: Group };

/** The cipher suite, signing with an identity. */
export class Mls {
  readonly #identity: MessengerIdentity;
  readonly #suite: CiphersuiteImpl;

  private constructor(identity: MessengerIdentity, suite: CiphersuiteImpl) {
    this.#identity = identity;
    this.#suite = suite;
  }

  static async of(identity: MessengerIdentity): Promise<Mls> {
    const suite = await getCiphersuiteImpl(getCiphersuiteFromName(suiteName));
    const signature = {
      ...suite.signature,
      // ts-mls hands the "private key" to nothing but this, so the public key stands in for it, in states too.
      sign: (handle: Uint8Array, bytes: Uint8Array) => {
        if (!equal(handle, identity.publicKey)) return Promise.reject(new Refused('signing for another identity'));
        return identity.sign(bytes.slice());
      },
      keygen: () => Promise.reject(new Refused('no other signature keys are made')),
    };
    return new Mls(identity, { ...suite, signature });
  }

  /** A key package that is valid from `notBefore` to `notAfter`, in seconds since 1970. */
  async keyPackage(notBefore: number, notAfter: number): Promise<OwnKeyPackage & { readonly message: Bytes }> {
    const own = this.#identity.publicKey;
    const { publicPackage, privatePackage } = await generateKeyPackageWithKey(
      { credentialType: 'basic', identity: own }, capabilities,
      { notBefore: BigInt(notBefore), notAfter: BigInt(notAfter) }, [], { signKey: own, publicKey: own }, this.#suite,
    );
    const message = bytes(encodeMlsMessage({ version: 'mls10', wireformat: 'mls_key_package', keyPackage: publicPackage }));
    return {
      ref: encodeBase64url(await makeKeyPackageRef(publicPackage, this.#suite.hash)),
      publicPackage: message,
      message,
      initPrivateKey: bytes(privatePackage.initPrivateKey),
      encryptionPrivateKey: bytes(privatePackage.hpkePrivateKey),
    };
  }

  /** Begins a group of two with the owner of a key package; the group is in force once its Welcome is stored. */
  async found(peer: Uint8Array, claimed: Uint8Array): Promise<{ readonly group: Group; readonly welcome: Bytes }> {
    const keyPackage = decodeKeyPackage(claimed);
    if (!equal(keyPackage.leafNode.signaturePublicKey, peer)) throw new Refused('the key package is not the peer’s');
    const now = Math.floor(Date.now() / 1000);
    const mine = await this.keyPackage(now - 3600, now + 86_400);
    const members = { own: this.#identity.publicKey, peer };
    const alone = await createGroup(
      crypto.getRandomValues(new Uint8Array(32)), decodeKeyPackage(mine.publicPackage), this.#privatePackage(mine), [],
      this.#suite, configOf(members),
    );
    const { newState, welcome } = await createCommit({ state: alone, cipherSuite: this.#suite }, {
      ratchetTreeExtension: true, extraProposals: [{ proposalType: 'add', add: { keyPackage } }],
    });
    if (!welcome) throw new Error('a commit that adds made no Welcome');
    checkMembers(newState, members);
    const message = encodeMlsMessage({ version: 'mls10', wireformat: 'mls_welcome', welcome });
    return { group: new Group(newState, members, this.#suite), welcome: bytes(message) };
  }

  /** Joins the group that a Welcome is for; rejects with Refused if it is not a group of the two. */
  async join(welcome: Welcome, own: OwnKeyPackage, peer: Uint8Array): Promise<Group> {
    const members = { own: this.#identity.publicKey, peer };
    const watched = watch(members);
    try {
      const state = await joinGroup(
        welcome, decodeKeyPackage(own.publicPackage), this.#privatePackage(own), emptyPskIndex, this.#suite,
        undefined, undefined, watched.config,
      );
      if (state.groupContext.extensions.length > 0) throw new Refused('the group has extensions');
      checkMembers(state, members);
      return new Group(state, members, this.#suite);
    } catch (error) {
      throw watched.refusal ?? error;
    }
  }

  /** A group from what `encode` gave. */
  restore(encoded: Uint8Array, peer: Uint8Array): Group {
    const decoded = decodeGroupState(encoded, 0);
    if (!decoded || decoded[1] !== encoded.length) throw new Error('not the state of a group');
    const members = { own: this.#identity.publicKey, peer };
    return new Group({ ...decoded[0], clientConfig: configOf(members) }, members, this.#suite);
  }

  #privatePackage(own: OwnKeyPackage) {
    return {
      initPrivateKey: own.initPrivateKey,
      hpkePrivateKey: own.encryptionPrivateKey,
      signaturePrivateKey: this.#identity.publicKey,
    };
  }
}

/** A group of two at one point of its life: a value. What changes it makes another one. */
export class Group {
  /** The group's id. */
  readonly id: string;
  readonly epoch: number;
  readonly #state: ClientState;
  readonly #members: Members;
  readonly #suite: CiphersuiteImpl;

  /** Groups come from Mls. */
  constructor(state: ClientState, members: Members, suite: CiphersuiteImpl) {
    this.#state = state;
    this.#members = members;
    this.#suite = suite;
    this.id = encodeBase64url(state.groupContext.groupId);
    this.epoch = Number(state.groupContext.epoch);
  }

  /** All that `Mls.restore` needs: secrets, to be sealed before they are stored. */
  encode(): Bytes {
    return bytes(encodeGroupState(this.#state));
  }

  async encrypt(content: Uint8Array): Promise<{ readonly group: Group; readonly payload: Bytes }> {
    const { newState, privateMessage } = await createApplicationMessage(this.#state, content, this.#suite);
    return { group: this.#with(newState), payload: encodePrivate(privateMessage) };
  }

  /** The group with fresh keys of one's own, which is in force once the payload is the epoch's first commit. */
  async commit(): Promise<{ readonly next: Group; readonly payload: Bytes }> {
    const { newState, commit } = await createCommit({ state: this.#state, cipherSuite: this.#suite });
    return { next: this.#with(newState), payload: bytes(encodeMlsMessage(commit)) };
  }

  /** This group as the successor of `before`, which has gone on since this was made of it. */
  following(before: Group): Group {
    const [historicalReceiverData] = addHistoricalReceiverData(before.#state);
    return this.#with({ ...this.#state, historicalReceiverData });
  }

  /**
   * Opens a message of this group. Rejects with Refused what the peer may not do, and with anything else what
   * cannot be read; the group is then as it was.
   */
  async open(message: PrivateMessage): Promise<Opened> {
    if (message.contentType !== 'application' && Number(message.epoch) < this.epoch) return { kind: 'ignored', group: this };
    const watched = watch(this.#members);
    const own = this.#state.privatePath.leafIndex;
    // The peer knows this side's message keys, too, and could hand back what was said here as if it came from there.
    const verify = (key: Uint8Array, ...signed: [message: Uint8Array, signature: Uint8Array]): Promise<boolean> => {
      if (equal(key, this.#members.own)) watched.refuse('a message in one’s own name');
      return this.#suite.signature.verify(key, ...signed);
    };
    try {
      const result = await processMessage(
        { wireformat: 'mls_private_message', privateMessage: message },
        { ...this.#state, clientConfig: watched.config }, emptyPskIndex,
        (incoming) => {
          if (incoming.kind === 'proposal') return 'reject';
          if (incoming.senderLeafIndex === own) watched.refuse('a commit in one’s own name');
          if (incoming.proposals.length > 0) watched.refuse('a commit that does more than renew keys');
          return watched.refusal ? 'reject' : 'accept';
        },
        { ...this.#suite, signature: { ...this.#suite.signature, verify } },
      );
      if (watched.refusal) throw watched.refusal;
      if (result.kind === 'applicationMessage') {
        return { kind: 'message', content: bytes(result.message), group: this.#with(result.newState) };
      }
      checkMembers(result.newState, this.#members);
      const group = this.#with(result.newState);
      return { kind: group.epoch === this.epoch ? 'ignored' : 'commit', group };
    } catch (error) {
      throw watched.refusal ?? error;
    }
  }

  #with(state: ClientState): Group {
    return new Group({ ...state, clientConfig: configOf(this.#members) }, this.#members, this.#suite);
  }
}

/** What a payload is, by its outside; trailing bytes make it foreign. */
export function parse(payload: Uint8Array): Parsed {
  const decoded = attempt(() => decodeMlsMessage(payload, 0));
  if (!decoded || decoded[1] !== payload.length) return { kind: 'foreign' };
  const [message] = decoded;
  if (message.wireformat === 'mls_welcome' && message.welcome.cipherSuite === suiteName) {
    const refs = message.welcome.secrets.map((secret) => encodeBase64url(secret.newMember));
    return { kind: 'welcome', welcome: message.welcome, refs };
  }
  if (message.wireformat !== 'mls_private_message') return { kind: 'foreign' };
  const { groupId, epoch } = message.privateMessage;
  return { kind: 'private', groupId: encodeBase64url(groupId), epoch: Number(epoch), message: message.privateMessage };
}

/** A KeyPackage, framed as an MLSMessage or bare. */
function decodeKeyPackage(message: Uint8Array): KeyPackage {
  // Bare ones begin with version mls10 and the suite, which as a frame would be a PublicMessage.
  const framed = message[3] === 5 ? message : new Uint8Array([0, 1, 0, 5, ...message]);
  const decoded = attempt(() => decodeMlsMessage(framed, 0));
  if (!decoded || decoded[1] !== framed.length || decoded[0].wireformat !== 'mls_key_package') {
    throw new Refused('not a key package');
  }
  return decoded[0].keyPackage;
}

function encodePrivate(privateMessage: PrivateMessage): Bytes {
  return bytes(encodeMlsMessage({ version: 'mls10', wireformat: 'mls_private_message', privateMessage }));
}

/** Decoders of ts-mls answer undefined for most of what is no message, and throw for the rest. */
function attempt<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch {
    return undefined;
  }
}

/** ts-mls says less of its buffers than WebCrypto asks; it makes no shared ones. */
function bytes(from: Uint8Array): Bytes {
  return from as Bytes;
}
