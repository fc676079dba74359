import {
  createCommit, createGroup, createProposal, decodeGroupState, decodeMlsMessage, encodeMlsMessage, generateKeyPackageWithKey,
  getCiphersuiteFromName, getCiphersuiteImpl,
} from 'ts-mls';
import type { CiphersuiteImpl, ClientState, KeyPackage, MLSMessage, Proposal, RatchetTree } from 'ts-mls';
import { defaultClientConfig } from 'ts-mls/clientConfig.js';
import { protect, unprotectPrivateMessage } from 'ts-mls/messageProtection.js';
import { beforeAll, describe, expect, test } from 'vitest';
import { Identity, MemoryIdentityStore } from '../../src/index.js';
import { Mls, parse } from '../../src/mls/group.js';
import type { Group, OwnKeyPackage, Parsed } from '../../src/mls/group.js';
import { Refused } from '../../src/mls/policy.js';

type Bytes = Uint8Array<ArrayBuffer>;

// Bob's side is played by ts-mls alone, so that it can do what our own side never would.
let plain: CiphersuiteImpl;
let alice: Identity;
let bob: Identity;
let mallory: Identity;
beforeAll(async () => {
  plain = await getCiphersuiteImpl(getCiphersuiteFromName('MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519'));
  [alice, bob, mallory] = await Promise.all([generate(), generate(), generate()]);
});

function generate(): Promise<Identity> {
  return Identity.generate({ store: new MemoryIdentityStore() });
}

async function packageOf(identity: Identity): Promise<OwnKeyPackage> {
  const now = Math.floor(Date.now() / 1000);
  return (await Mls.of(identity)).keyPackage(now - 60, now + 3600);
}

/** A suite whose signatures come from one identity, leaf nodes perhaps from another. */
function signing(identity: Identity, leaves = identity): CiphersuiteImpl {
  const sign = (_handle: Uint8Array, bytes: Uint8Array): Promise<Uint8Array> =>
    (new TextDecoder().decode(bytes).includes('LeafNodeTBS') ? leaves : identity).sign(bytes.slice());
  return { ...plain, signature: { ...plain.signature, sign } };
}

function keyPackage(own: OwnKeyPackage): KeyPackage {
  const message = decodeMlsMessage(own.publicPackage, 0)?.[0] as MLSMessage & { wireformat: 'mls_key_package' };
  return message.keyPackage;
}

function stateOf(group: Group): ClientState {
  const state = decodeGroupState(group.encode(), 0)?.[0];
  if (!state) throw new Error('no state');
  return { ...state, clientConfig: defaultClientConfig };
}

function welcomeOf(parsed: Parsed) {
  if (parsed.kind !== 'welcome') throw new Error(`a Welcome was expected, not ${parsed.kind}`);
  return parsed.welcome;
}

function privateOf(payload: Uint8Array) {
  const parsed = parse(payload);
  if (parsed.kind !== 'private') throw new Error(`a private message was expected, not ${parsed.kind}`);
  return parsed.message;
}

/** Alice's and Bob's group, which Alice began. */
async function couple(): Promise<{ ofAlice: Group; ofBob: Group }> {
  const own = await packageOf(bob);
  const { group, welcome } = await (await Mls.of(alice)).found(bob.publicKey, own.publicPackage);
  return { ofAlice: group, ofBob: await (await Mls.of(bob)).join(welcomeOf(parse(welcome)), own, alice.publicKey) };
}

/** A commit of Bob's, made of a state that may have been tampered with. */
async function commitOf(state: ClientState, suite: CiphersuiteImpl, extraProposals: Proposal[] = []): Promise<Uint8Array> {
  return encodeMlsMessage((await createCommit({ state, cipherSuite: suite }, { extraProposals })).commit);
}

describe('what an honest peer does', () => {
  test('is accepted: messages, updates, and messages of the epoch before', async () => {
    const { ofAlice, ofBob } = await couple();
    const late = await ofBob.encrypt(new Uint8Array([1]));
    const { next, payload } = await ofBob.commit();
    const updated = await ofAlice.open(privateOf(payload));
    expect(updated).toMatchObject({ kind: 'commit', group: { epoch: 2, id: ofAlice.id } });
    expect(await updated.group.open(privateOf(late.payload))).toMatchObject({ kind: 'message', content: new Uint8Array([1]) });
    const after = await next.encrypt(new Uint8Array([2]));
    expect(await updated.group.open(privateOf(after.payload))).toMatchObject({ kind: 'message', content: new Uint8Array([2]) });
  });

  test('survives encoding, at every point', async () => {
    const { ofAlice, ofBob } = await couple();
    const mls = await Mls.of(alice);
    const { payload } = await ofBob.encrypt(new Uint8Array([3]));
    const restored = mls.restore(ofAlice.encode(), bob.publicKey);
    expect(restored.encode()).toEqual(ofAlice.encode());
    expect(await restored.open(privateOf(payload))).toMatchObject({ kind: 'message' });
  });

  test('a commit that lost its race is passed over', async () => {
    const { ofAlice, ofBob } = await couple();
    const mine = await ofAlice.commit();
    const theirs = await ofBob.commit();
    expect(await mine.next.following(ofAlice).open(privateOf(theirs.payload))).toMatchObject({ kind: 'ignored' });
  });

  test('what was read between a commit and its storing is not read again after it', async () => {
    const { ofAlice, ofBob } = await couple();
    const { next } = await ofAlice.commit();
    const { payload } = await ofBob.encrypt(new Uint8Array([4]));
    const { group } = await ofAlice.open(privateOf(payload));
    await expect(next.following(group).open(privateOf(payload))).rejects.toThrow();
  });

  test('a bare key package serves as well as a framed one', async () => {
    const own = await packageOf(bob);
    const { welcome } = await (await Mls.of(alice)).found(bob.publicKey, own.publicPackage.slice(4));
    expect(parse(welcome)).toMatchObject({ kind: 'welcome', refs: [own.ref] });
  });
});

describe('is refused', () => {
  test('a key package of another identity', async () => {
    const mls = await Mls.of(alice);
    const other = await packageOf(mallory);
    await expect(mls.found(bob.publicKey, other.publicPackage)).rejects.toThrow(Refused);
  });

  test('a key package that is over', async () => {
    const now = Math.floor(Date.now() / 1000);
    const old = await (await Mls.of(bob)).keyPackage(now - 7200, now - 3600);
    await expect((await Mls.of(alice)).found(bob.publicKey, old.publicPackage)).rejects.toThrow('Lifetime');
  });

  test('a Welcome from another identity', async () => {
    const own = await packageOf(alice);
    const { welcome } = await (await Mls.of(mallory)).found(alice.publicKey, own.publicPackage);
    await expect((await Mls.of(alice)).join(welcomeOf(parse(welcome)), own, bob.publicKey)).rejects.toThrow(Refused);
  });

  test('a Welcome to a group with a third member', async () => {
    const [ofAlice, ofBob, ofMallory] = await Promise.all([packageOf(alice), packageOf(bob), packageOf(mallory)]);
    const suite = signing(bob);
    const secrets = { initPrivateKey: ofBob.initPrivateKey, hpkePrivateKey: ofBob.encryptionPrivateKey, signaturePrivateKey: bob.publicKey };
    const state = await createGroup(new Uint8Array(32), keyPackage(ofBob), secrets, [], suite);
    const add = (own: OwnKeyPackage): Proposal => ({ proposalType: 'add', add: { keyPackage: keyPackage(own) } });
    const { welcome } = await createCommit({ state, cipherSuite: suite }, { ratchetTreeExtension: true, extraProposals: [add(ofAlice), add(ofMallory)] });
    if (!welcome) throw new Error('no Welcome');
    await expect((await Mls.of(alice)).join(welcome, ofAlice, bob.publicKey)).rejects.toThrow(Refused);
  });

  test('a commit that adds a member', async () => {
    const { ofAlice, ofBob } = await couple();
    const add: Proposal = { proposalType: 'add', add: { keyPackage: keyPackage(await packageOf(mallory)) } };
    const payload = await commitOf(stateOf(ofBob), signing(bob), [add]);
    await expect(ofAlice.open(privateOf(payload))).rejects.toThrow(Refused);
  });

  test('a commit that removes the other', async () => {
    const { ofAlice, ofBob } = await couple();
    const payload = await commitOf(stateOf(ofBob), signing(bob), [{ proposalType: 'remove', remove: { removed: 0 } }]);
    await expect(ofAlice.open(privateOf(payload))).rejects.toThrow(Refused);
  });

  test('a commit that changes what the group is', async () => {
    const { ofAlice, ofBob } = await couple();
    const payload = await commitOf(stateOf(ofBob), signing(bob), [{ proposalType: 'group_context_extensions', groupContextExtensions: { extensions: [] } }]);
    await expect(ofAlice.open(privateOf(payload))).rejects.toThrow(Refused);
  });

  test('a proposal, which is passed over, and does not keep anyone from writing', async () => {
    const { ofAlice, ofBob } = await couple();
    const remove: Proposal = { proposalType: 'remove', remove: { removed: 0 } };
    const { message } = await createProposal(stateOf(ofBob), false, remove, signing(bob));
    const opened = await ofAlice.open(privateOf(encodeMlsMessage(message)));
    expect(opened).toMatchObject({ kind: 'ignored', group: { epoch: 1 } });
    expect(await ofBob.open(privateOf((await opened.group.encrypt(new Uint8Array([5]))).payload))).toMatchObject({ kind: 'message' });
  });

  test.each([['a stranger’s', () => mallory], ['the reader’s own', () => alice]])('a commit that puts %s key in the peer’s leaf', async (_whose, key) => {
    const { ofAlice, ofBob } = await couple();
    const state = stateOf(ofBob);
    const ratchetTree: RatchetTree = state.ratchetTree.map((node, index) =>
      (index === 2 && node?.nodeType === 'leaf' ? { ...node, leaf: { ...node.leaf, signaturePublicKey: key().publicKey } } : node));
    const payload = await commitOf({ ...state, ratchetTree }, signing(bob, key()));
    await expect(ofAlice.open(privateOf(payload))).rejects.toThrow(Refused);
  });

  test('one’s own commit, which the node hands back', async () => {
    const { ofAlice } = await couple();
    const { payload } = await ofAlice.commit();
    await expect(ofAlice.open(privateOf(payload))).rejects.toThrow(Refused);
  });

  test('one’s own words, which the peer encrypts anew as if it handed them back', async () => {
    const { ofAlice, ofBob } = await couple();
    const said = await ofAlice.encrypt(new Uint8Array([6]));
    const { keySchedule, secretTree, ratchetTree, groupContext, clientConfig } = stateOf(ofBob);
    const { senderDataSecret } = keySchedule;
    const { keyRetentionConfig, paddingConfig } = clientConfig;
    const read = await unprotectPrivateMessage(
      senderDataSecret, privateOf(said.payload), secretTree, ratchetTree, groupContext, keyRetentionConfig, plain,
    );
    const { content: words, auth } = read.content;
    if (words.contentType !== 'application' || auth.contentType !== 'application') throw new Error('these are no words');
    const content = { ...words, auth };
    const { privateMessage } = await protect(
      senderDataSecret, new Uint8Array(), groupContext, read.tree, content, 0, paddingConfig, plain,
    );
    await expect(said.group.open(privateMessage)).rejects.toThrow(Refused);
  });

  test('what would make the state of a group large: a key package, a Welcome, a commit', async () => {
    const [ofAlice, ofBob] = [await packageOf(alice), await packageOf(bob)];
    const suite = signing(bob);
    const { leafNode } = keyPackage(ofBob);
    const credential = { credentialType: 'basic', identity: new Uint8Array(1 << 20) } as const;
    const lifetime = { notBefore: 0n, notAfter: BigInt(Math.floor(Date.now() / 1000) + 3600) };
    const large = await generateKeyPackageWithKey(
      credential, leafNode.capabilities, lifetime, [], { signKey: bob.publicKey, publicKey: bob.publicKey }, suite,
    );
    const claimed = encodeMlsMessage({ version: 'mls10', wireformat: 'mls_key_package', keyPackage: large.publicPackage });
    const mls = await Mls.of(alice);
    await expect(mls.found(bob.publicKey, claimed)).rejects.toThrow(Refused);

    const state = await createGroup(new Uint8Array(32), large.publicPackage, large.privatePackage, [], suite);
    const { welcome } = await createCommit({ state, cipherSuite: suite }, {
      ratchetTreeExtension: true, extraProposals: [{ proposalType: 'add', add: { keyPackage: keyPackage(ofAlice) } }],
    });
    if (!welcome) throw new Error('no Welcome');
    await expect(mls.join(welcome, ofAlice, bob.publicKey)).rejects.toThrow(Refused);

    const pair = await couple();
    const before = stateOf(pair.ofBob);
    const ratchetTree: RatchetTree = before.ratchetTree.map((node, index) =>
      (index === 2 && node?.nodeType === 'leaf' ? { ...node, leaf: { ...node.leaf, credential } } : node));
    const payload = await commitOf({ ...before, ratchetTree }, suite);
    await expect(pair.ofAlice.open(privateOf(payload))).rejects.toThrow(Refused);
    expect(pair.ofAlice.encode().length).toBeLessThan(16 * 1024);
  });

  test('signing for another identity’s handle', async () => {
    const { ofAlice } = await couple();
    const asBob = (await Mls.of(bob)).restore(ofAlice.encode(), alice.publicKey);
    await expect(asBob.encrypt(new Uint8Array([1]))).rejects.toThrow(Refused);
  });
});

test('what is no private message or Welcome of our suite is foreign', async () => {
  const own = await packageOf(bob);
  const { ofAlice } = await couple();
  const { commit } = await createCommit({ state: stateOf(ofAlice), cipherSuite: signing(alice) }, { wireAsPublicMessage: true });
  const foreign: Bytes[] = [
    new Uint8Array([1]), own.publicPackage, new Uint8Array(encodeMlsMessage(commit)), new Uint8Array(300).fill(0xff),
    new Uint8Array([0, 1, 0, 2, 0xff, 0xff, 0xff, 0xff]), new Uint8Array([0, 1, 0, 3, 0xbf, 0xff, 0xff, 0xff]),
  ];
  for (const payload of foreign) expect(parse(payload)).toEqual({ kind: 'foreign' });
});
