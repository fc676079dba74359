// The part of node.capnp that the client speaks. The code generator that belongs to
// capnp-ts (capnpc-ts 0.7.0) knows no interfaces, so this is what it would make, by
// hand: sizes and offsets as `capnp compile -ocapnp` prints them.
"use strict";

const { Struct, Data, ObjectSize, CompositeList, Server, getInterfaceClient, setInterfaceClient } = require("capnp-ts");

// Kinds of fields: how to read and write one at its place in a struct.
const u16 = (at) => ({ get: (s) => Struct.getUint16(at, s), set: (s, v) => Struct.setUint16(at, v, s) });
const u32 = (at) => ({ get: (s) => Struct.getUint32(at, s), set: (s, v) => Struct.setUint32(at, v, s) });
const u64 = (at) => ({ get: (s) => Struct.getUint64(at, s), set: (s, v) => Struct.setUint64(at, BigInt(v), s) });
const bool = (at) => ({ get: (s) => Struct.getBit(at, s), set: (s, v) => Struct.setBit(at, v, s) });
const text = (at) => ({ get: (s) => Struct.getText(at, s), set: (s, v) => Struct.setText(at, v, s) });
const data = (at) => ({
  get: (s) => Struct.getData(at, s).toUint8Array(),
  set: (s, v) => Struct.initData(at, v.length, s).copyBuffer(v),
});
const struct = (at, type) => ({
  get: (s) => (Struct.isNull(Struct.getPointer(at, s)) ? null : Struct.getStruct(at, type(), s)),
  set: (s, v) => Struct.initStructAt(at, type(), s).set(v),
});
const list = (at, type) => ({ get: (s) => Struct.getList(at, CompositeList(type()), s).toArray() });
const capability = (at) => ({
  get: (s) => getInterfaceClient(at, s),
  set: (s, v) => setInterfaceClient(at, v, s),
});

// define makes a struct type of so many bytes and pointers, with these fields.
function define(displayName, bytes, pointers, fields) {
  const type = class extends Struct {
    set(values) {
      for (const [name, value] of Object.entries(values)) fields[name].set(this, value);
    }
  };
  for (const [name, field] of Object.entries(fields)) {
    Object.defineProperty(type.prototype, name, { get() { return field.get(this); } });
  }
  type._capnp = { displayName, id: displayName, size: new ObjectSize(bytes, pointers) };
  return type;
}

const Auth = define("Auth", 0, 5, { accessToken: data(0) });
const NodeError = define("NodeError", 24, 2, {
  code: u16(0), detail: text(0), head: u64(16), minVersion: u16(2), maxVersion: u16(4),
});
const IfHead = define("IfHead", 16, 0, { tag: u16(0), is: u64(8) });
const Message = define("Message", 16, 1, { payload: data(0), seq: u64(0) });
const Page = define("Page", 32, 2, { messages: list(0, () => Message), head: u64(0), acked: u64(8) });
const Info = define("Info", 48, 4, { minVersion: u16(0), maxVersion: u16(2) });
const EventMessage = define("Event", 16, 2, { tag: u16(0), channelId: data(0), message: struct(1, () => Message) });

const error = (at) => struct(at, () => NodeError);
const auth = (at) => struct(at, () => Auth);

const NODE_SERVICE = 0xf1b2c3d4e5f60718n;
const EVENT_SINK = 0xc8d70e91b25a4f36n;

// method is one of an interface, as capnp-ts describes methods.
const method = (interfaceId, methodId, methodName, params, results) => ({
  interfaceId, methodId, methodName, interfaceName: "NodeService",
  ParamsClass: define(`${methodName}$Params`, ...params),
  ResultsClass: define(`${methodName}$Results`, ...results),
});

const methods = {
  enqueue: method(NODE_SERVICE, 2, "enqueue",
    [8, 6, { payload: data(1), auth: auth(2), channelId: data(3), version: u16(0), messageId: data(4),
      ifHead: struct(5, () => IfHead) }],
    [24, 1, { seq: u64(0), duplicate: bool(128), error: error(0) }]),
  fetch: method(NODE_SERVICE, 3, "fetch",
    [32, 3, { channelId: data(2), version: u16(0), keep: bool(16) }],
    [0, 3, { page: struct(1, () => Page), error: error(2) }]),
  fetchWait: method(NODE_SERVICE, 4, "fetchWait",
    [40, 3, { timeoutMs: u64(0), channelId: data(2), version: u16(8), keep: bool(80) }],
    [0, 3, { page: struct(1, () => Page), error: error(2) }]),
  createChannel: method(NODE_SERVICE, 5, "createChannel",
    [8, 2, { peerKey: data(0), version: u16(0) }],
    [8, 3, { channelId: data(0), created: bool(0), error: error(2) }]),
  ack: method(NODE_SERVICE, 7, "ack",
    [16, 2, { channelId: data(0), through: u64(0), version: u16(8) }],
    [0, 1, { error: error(0) }]),
  authenticate: method(NODE_SERVICE, 10, "authenticate",
    [8, 1, { auth: auth(0), version: u16(0) }],
    [8, 3, { session: capability(0), identityKey: data(1), error: error(2) }]),
  info: method(NODE_SERVICE, 13, "info",
    [8, 0, { version: u16(0) }],
    [0, 2, { info: struct(0, () => Info), error: error(1) }]),
  follow: method(NODE_SERVICE, 14, "follow",
    [24, 3, { sink: capability(0), version: u16(12), unanswered: u32(20) }],
    [0, 1, { error: error(0) }]),
};

const event = method(EVENT_SINK, 0, "event", [0, 1, { event: struct(0, () => EventMessage) }], [0, 0, {}]);

// sink is an EventSink that hands its events to somebody.
const sink = (take) => new Server([{ ...event, impl: async (params) => take(params.event) }]);

module.exports = { methods, sink };
