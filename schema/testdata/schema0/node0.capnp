@0x8d2c1f0b9a7e6534;
# quicproquo NodeService, version 0: frozen. What N-1 clients were built from.

using Go = import "/go.capnp";
$Go.package("schema0");
$Go.import("github.com/quicproquo/node/schema/testdata/schema0");

interface NodeService @0xf1b2c3d4e5f60718 {
  uploadKeyPackage @0 (identityKey :Data, package :Data, auth :Auth) -> (fingerprint :Data);
  fetchKeyPackage  @1 (identityKey :Data, auth :Auth) -> (package :Data);
  enqueue          @2 (recipientKey :Data, payload :Data, auth :Auth) -> ();
  fetch            @3 (recipientKey :Data, auth :Auth) -> (payloads :List(Data));
  fetchWait        @4 (recipientKey :Data, timeoutMs :UInt64, auth :Auth) -> (payloads :List(Data));
}

struct Auth @0xe0c1d2a3b4f50617 {
  accessToken @0 :Data;
}
