@0x9a1f3c5b7d8e2046;
# quicproquo NodeService, version 1. Only ever append: ordinals, ids, types and
# defaults are forever. The frozen version 0 has the same interface and Auth ids.

using Go = import "/go.capnp";
$Go.package("schema");
$Go.import("github.com/quicproquo/node/schema");

const version :UInt16 = 1;

interface NodeService @0xf1b2c3d4e5f60718 {
  # On the bootstrap capability every method but challenge, login, authenticate
  # and info needs `auth`. On a bound capability `auth` stays null (or is of the
  # same identity). Results: look at `error` first; null means success.

  uploadKeyPackage @0 (identityKey :Data, package :Data, auth :Auth, version :UInt16)
    -> (fingerprint :Data, error :NodeError);

  fetchKeyPackage @1 (identityKey :Data, auth :Auth, version :UInt16, claimId :Data, suites :List(UInt16))
    -> (package :Data, fingerprint :Data, suite :UInt16, lastResort :Bool, error :NodeError);

  enqueue @2 (recipientKey :Data, payload :Data, auth :Auth,
              channelId :Data, version :UInt16, messageId :Data, ifHead :IfHead)
    -> (seq :UInt64, receivedAt :Int64, duplicate :Bool, error :NodeError);

  fetch @3 (recipientKey :Data, auth :Auth,
            channelId :Data, version :UInt16, after :UInt64, limit :UInt32, maxBytes :UInt64,
            ackThrough :UInt64, keep :Bool)
    -> (payloads :List(Data), page :Page, error :NodeError);
  # Version 0 is answered in `payloads`, later versions in `page`; never both.
  # `after` 0 means: after what is acknowledged.

  fetchWait @4 (recipientKey :Data, timeoutMs :UInt64, auth :Auth,
                channelId :Data, version :UInt16, after :UInt64, limit :UInt32, maxBytes :UInt64,
                ackThrough :UInt64, keep :Bool)
    -> (payloads :List(Data), page :Page, error :NodeError);

  createChannel @5 (peerKey :Data, auth :Auth, version :UInt16)
    -> (channelId :Data, channel :Channel, created :Bool, error :NodeError);

  listChannels @6 (peerKey :Data, cursor :Data, limit :UInt32, auth :Auth, version :UInt16,
                   channelId :Data)
    -> (channels :List(Channel), nextCursor :Data, error :NodeError);
  # With `channelId`, that one channel alone; channelNotFound if the caller has none such.

  ack @7 (channelId :Data, through :UInt64, auth :Auth, version :UInt16, streamId :UInt32)
    -> (error :NodeError);
  # With `streamId`, an acknowledgement within that stream of this capability: it
  # charges no limit, and nothing above what the stream delivered is acknowledged.

  challenge @8 (identityKey :Data, version :UInt16, client :Auth)
    -> (nonce :Data, audience :Text, expiresAt :Int64, error :NodeError);

  login @9 (identityKey :Data, nonce :Data, signature :Data, version :UInt16, revokeOlder :Bool,
            client :Auth)
    -> (accessToken :Data, expiresAt :Int64, session :NodeService, error :NodeError);
  # Of `client`, here and in challenge, only clientAddress means anything.

  authenticate @10 (auth :Auth, version :UInt16)
    -> (session :NodeService, identityKey :Data, expiresAt :Int64, error :NodeError);
  # `session` is bound to the identity until it is dropped, its token expires or
  # is revoked, or the connection ends. Calls may be pipelined on it.

  keyPackageStatus @11 (auth :Auth, version :UInt16)
    -> (suites :List(KeyPackageStock), error :NodeError);

  uploadKeyPackages @12 (packages :List(Data), lastResort :Bool, auth :Auth, version :UInt16)
    -> (fingerprints :List(Data), error :NodeError);

  info @13 (version :UInt16) -> (info :Info, error :NodeError);

  follow @14 (sink :EventSink, channelId :Data, after :UInt64, window :UInt32, auth :Auth,
              version :UInt16, streamId :UInt32, unanswered :UInt32)
    -> (error :NodeError);
  # An empty channelId follows all channels. Answers when the stream has ended:
  # cancel the call to stop it. `window` messages at most are delivered above what
  # is acknowledged (0: 128), and `unanswered` events sent without an answer of the
  # sink (0: as `window`). `streamId` is the client's name for the stream, for ack;
  # no other open stream of the capability has it. 0: none.

  renew @15 (auth :Auth, version :UInt16) -> (expiresAt :Int64, error :NodeError);
  # On a bound capability: go on with a newer token of the same identity.

  revoke @16 (auth :Auth, version :UInt16) -> (error :NodeError);
}

interface EventSink @0xc8d70e91b25a4f36 {
  # The follower's end. Answering an event is flow control, no acknowledgement.
  event @0 (event :Event) -> ();
}

struct Auth @0xe0c1d2a3b4f50617 {
  accessToken @0 :Data;
  clientAddress @1 :Text;
  # Of the client behind a gateway that stands apart; honoured from configured peers only.
  proof @2 :Text;
  method @3 :Text;
  url @4 :Text;
  # The DPoP proof (RFC 9449) of a client behind a gateway that stands apart, and the
  # method and the URL of the request that it came with; likewise.
}

struct IfHead @0xd35b8f6a0e7c9214 {
  # A null pointer reads as `any`.
  union {
    any @0 :Void;
    is @1 :UInt64;
  }
}

struct Message @0xa37b21c4de905f11 {
  payload @0 :Data;
  seq @1 :UInt64;
  receivedAt @2 :Int64;   # Unix ms
}

struct Page @0xf4a90c3d17e8b265 {
  messages @0 :List(Message);
  head @1 :UInt64;
  acked @2 :UInt64;
  floor @3 :UInt64;
  more @4 :Bool;
  gap @5 :Gap;             # null: none
}

struct Gap @0xe2b7604f9d1c3a58 {
  from @0 :UInt64;
  to @1 :UInt64;
  reason @2 :Reason;

  enum Reason @0x91d3c5a7f0e2b468 {
    unspecified @0;
    expired @1;
    acked @2;
    restored @3;
  }
}

struct Channel @0x8fe1d0c9b7a65432 {
  id @0 :Data;
  peerKey @1 :Data;
  createdAt @2 :Int64;    # Unix ms
  head @3 :UInt64;
  unread @4 :UInt64;
  acked @5 :UInt64;
}

struct KeyPackageStock @0xb30e5f7a9c1d2486 {
  suite @0 :UInt16;
  oneTime @1 :UInt32;
  soonestExpiry @2 :Int64; # Unix ms, 0: none
  lastResort @3 :Bool;
  lastResortUses @4 :UInt32;
}

struct Event @0xb9e2f7d640c1835a {
  union {
    caughtUp @0 :Void;
    message :group { channelId @1 :Data; message @2 :Message; }
    channel @3 :Channel;
    gap :group { channelId @4 :Data; gap @5 :Gap; }
    acked :group { channelId @6 :Data; through @7 :UInt64; }
    keyPackagesLow @8 :KeyPackageStock;
    tokenExpiring :group { expiresAt @9 :Int64; }
    draining :group { retryAfterMs @10 :UInt64; }
  }
}

struct Info @0x85f36a1d9cb40e27 {
  minVersion @0 :UInt16;
  maxVersion @1 :UInt16;
  capabilities @2 :List(Text);
  audience @3 :Text;
  durability @4 :Text;
  serverTime @5 :Int64;   # Unix ms
  maxPayload @6 :UInt64;
  maxFetch @7 :UInt32;
  maxFetchBytes @8 :UInt64;
  maxWaitMs @9 :UInt64;
  legacy @10 :Bool;
  jwks @11 :Text;         # for a gateway that stands apart
}

struct NodeError @0xb14c6de7f8091a2b {
  code @0 :Code;
  detail @1 :Text;
  retryAfterMs @2 :UInt64;
  head @3 :UInt64;         # with preconditionFailed, and after beyond head
  minVersion @4 :UInt16;   # with unsupportedVersion
  maxVersion @5 :UInt16;
  nonce @6 :Text;          # with unauthenticated: for the DPoP proof of another attempt

  enum Code @0xea6c38d2915f07b4 {
    unspecified @0;
    invalidArgument @1;
    unauthenticated @2;
    tokenExpired @3;
    permissionDenied @4;
    channelNotFound @5;
    keyPackageNotFound @6;
    payloadTooLarge @7;
    rateLimited @8;
    mailboxFull @9;
    quotaExceeded @10;
    messageIdReused @11;
    preconditionFailed @12;
    unsupportedVersion @13;
    unavailable @14;
    internal @15;
  }
}
