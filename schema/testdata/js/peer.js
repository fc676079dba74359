// A client of version 1 on a runtime that shares nothing with ours: capnp-ts, over TCP.
//
//   node peer.js HOST:PORT
//
// It asks for what only the identities' keys can make as the clients in C++ do: "? token
// alice" on standard output, the answer in hex on standard input.
"use strict";

const assert = require("node:assert/strict");
const net = require("node:net");
const readline = require("node:readline");
const { Conn } = require("capnp-ts");
const { methods, sink } = require("./bindings.js");

const VERSION = 1;
const answers = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();

async function ask(what) {
  console.log(`? ${what}`);
  const { value, done } = await answers.next();
  assert(!done, `nobody answered ${what}`);
  return Uint8Array.from(Buffer.from(value, "hex"));
}

// Stream cuts a TCP stream into messages: capnp-ts brings a transport for WebSockets only.
class Stream {
  constructor(socket) {
    this.socket = socket;
    this.pending = Buffer.alloc(0);
  }
  onClose(ended) { this.socket.on("close", () => ended()); }
  onMessage(take) {
    this.socket.on("data", (chunk) => {
      this.pending = Buffer.concat([this.pending, chunk]);
      for (let size; (size = frameSize(this.pending)) <= this.pending.length;) {
        take(Uint8Array.from(this.pending.subarray(0, size)));
        this.pending = this.pending.subarray(size);
      }
    });
  }
  send(message) { this.socket.write(message); }
  close() { this.socket.end(); }
}

// frameSize is that of the message that bytes begin with, as far as one can tell.
function frameSize(bytes) {
  if (bytes.length < 4) return Infinity;
  const segments = bytes.readUInt32LE(0) + 1;
  const table = 8 * Math.ceil((segments + 1) / 2);
  if (bytes.length < table) return Infinity;
  let size = table;
  for (let i = 0; i < segments; i++) size += 8 * bytes.readUInt32LE(4 + 4 * i);
  return size;
}

const good = (answer) => {
  assert.equal(answer.error, null, answer.error?.detail);
  return answer;
};
const refused = (answer, code) => {
  assert.equal(answer.error?.code, code, answer.error?.detail);
  console.log(`refused: ${answer.error.detail}`);
  return answer.error;
};
const utf8 = (s) => new TextEncoder().encode(s);
const call = (client, method, params) => client.call(method, (p) => p.set({ version: VERSION, ...params }));

async function main() {
  const [host, port] = process.argv[2].split(":");
  const conn = new Conn(new Stream(net.connect({ host, port })));
  const { client: node } = conn.bootstrap({ Client: class { constructor(client) { this.client = client; } } });
  const { info } = good(await call(node, methods.info, {}));
  assert(info.minVersion <= VERSION && VERSION <= info.maxVersion);
  console.log(`versions ${info.minVersion} to ${info.maxVersion}`);

  const session = async (name) => {
    const authenticated = call(node, methods.authenticate, { auth: { accessToken: await ask(`token ${name}`) } });
    const early = call(authenticated.pipelineClient(0), methods.info, {}); // before the session has come
    good(await early);
    return good(await authenticated);
  };
  const alice = await session("alice");
  const bob = await session("bob");
  const channel = good(await call(alice.session, methods.createChannel, { peerKey: bob.identityKey })).channelId;
  console.log("two sessions, used before they came, and a channel");

  const send = (params) => call(alice.session, methods.enqueue, { channelId: channel, ...params });
  const fetch = (method, params) => call(bob.session, method, { channelId: channel, keep: true, ...params });
  const ack = async (through) => good(await call(bob.session, methods.ack, { channelId: channel, through }));

  assert.equal(good(await send({ payload: utf8("first"), messageId: utf8("id") })).seq, 1n);
  assert(good(await send({ payload: utf8("first"), messageId: utf8("id") })).duplicate);
  assert.equal(refused(await send({ payload: utf8("x"), ifHead: { tag: 1, is: 7 } }), 12).head, 1n);
  const page = good(await fetch(methods.fetch, {})).page;
  assert.deepEqual(page.messages.map((m) => [m.seq, Buffer.from(m.payload).toString()]), [[1n, "first"]]);
  await ack(1);
  console.log("a message, sent twice, stored once, acknowledged");

  const waiting = fetch(methods.fetchWait, { timeoutMs: 60_000 });
  const large = Uint8Array.from({ length: 5 << 20 }, (_, i) => (i * 2654435761) >>> 24);
  good(await send({ payload: large }));
  const woken = good(await waiting).page.messages;
  assert.equal(Buffer.compare(woken[0].payload, large), 0);
  await ack(2);
  console.log(`a wait woken by ${large.length} bytes`);

  let seen;
  const all = new Promise((resolve) => { seen = resolve; });
  const got = [];
  const stream = call(bob.session, methods.follow, {
    unanswered: 4,
    sink: sink((event) => {
      if (event.tag === 1) got.push(Number(event.message.seq));
      if (got.length === 20) seen();
    }),
  });
  stream.then(() => assert.fail("the stream ended"), () => {});
  for (let i = 0; i < 20; i++) good(await send({ payload: utf8("event") }));
  await all;
  assert.deepEqual(got, Array.from({ length: 20 }, (_, i) => i + 3));
  console.log("a stream of 20 messages, in order");

  assert.equal(refused(await send({ payload: utf8("x"), version: VERSION + 1 }), 13).maxVersion, VERSION);
  refused(await send({ payload: utf8("x"), channelId: utf8("0123456789abcdef") }), 5);
  refused(await call(node, methods.ack, { channelId: channel, through: 1 }), 2);
  bob.session.dispose();
  good(await send({ payload: utf8("the connection goes on") }));
  conn.close();
  console.log("the connection went on, and is closed");
}

main().then(() => process.exit(0), (failure) => {
  console.error(failure);
  process.exit(1);
});
