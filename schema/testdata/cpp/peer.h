// What both clients need: a connection to a node, and somebody to ask. The keys of
// the identities stay with whoever runs the program, as with keys in hardware: a
// client asks on standard output for what only they can make, and reads it from
// standard input. What it did it says on standard output too, a line a step.
#pragma once

#include <capnp/message.h>
#include <capnp/rpc-twoparty.h>
#include <kj/async-io.h>
#include <kj/compat/tls.h>
#include <kj/debug.h>
#include <kj/encoding.h>
#include <kj/filesystem.h>

#include <iostream>
#include <string>

// ask says what is wanted, such as "sign alice 00ff", and reads bytes, in hex.
inline kj::Array<kj::byte> ask(kj::StringPtr what) {
  std::cout << "? " << what.cStr() << std::endl;
  std::string line;
  bool answered = !std::getline(std::cin, line).fail();
  KJ_REQUIRE(answered, "nobody answered", what);
  auto bytes = kj::decodeHex(kj::StringPtr(line.c_str()));
  KJ_REQUIRE(!bytes.hadErrors, "the answer is not in hex", line.c_str());
  return kj::mv(bytes);
}

// done reports a step that did what it should.
template <typename... Params>
void done(Params&&... params) {
  std::cout << kj::str(kj::fwd<Params>(params)...).cStr() << std::endl;
}

inline bool same(kj::ArrayPtr<const kj::byte> a, kj::ArrayPtr<const kj::byte> b) { return a == b; }

inline bool same(kj::ArrayPtr<const kj::byte> a, kj::StringPtr b) { return a == b.asBytes(); }

// DeafStream writes and never reads: a client that hangs with its answer under way.
class DeafStream final : public kj::AsyncIoStream {
 public:
  explicit DeafStream(kj::Own<kj::AsyncIoStream> inner) : inner(kj::mv(inner)) {}

  kj::Promise<size_t> tryRead(void*, size_t, size_t) override { return kj::NEVER_DONE; }
  kj::Promise<void> write(const void* buffer, size_t size) override { return inner->write(buffer, size); }
  kj::Promise<void> write(kj::ArrayPtr<const kj::ArrayPtr<const kj::byte>> pieces) override {
    return inner->write(pieces);
  }
  kj::Promise<void> whenWriteDisconnected() override { return inner->whenWriteDisconnected(); }
  void shutdownWrite() override { inner->shutdownWrite(); }

 private:
  kj::Own<kj::AsyncIoStream> inner;
};

// Connection is one to a node: of HOST:PORT or unix:PATH, in the clear or, with the
// certificate to trust, over TLS to the node named localhost.
class Connection {
 public:
  Connection(kj::AsyncIoContext& io, kj::StringPtr address, kj::Maybe<kj::StringPtr> certificate, bool deaf = false)
      : stream(connect(io, address, certificate, deaf)),
        network(*stream, capnp::rpc::twoparty::Side::CLIENT, readerOptions()),
        system(capnp::makeRpcClient(network)) {}

  // bootstrap is the node's own object: what calls begin with.
  template <typename Interface>
  typename Interface::Client bootstrap() {
    capnp::MallocMessageBuilder message;
    auto server = message.getRoot<capnp::rpc::twoparty::VatId>();
    server.setSide(capnp::rpc::twoparty::Side::SERVER);
    return system.bootstrap(server).castAs<Interface>();
  }

  // leave tells the node that nothing more comes. Over TLS a client that just ends
  // shows nothing, and what it fetched comes again to the next one.
  void leave() { stream->shutdownWrite(); }

 private:
  kj::Maybe<kj::Own<kj::TlsContext>> tls;
  kj::Own<kj::AsyncIoStream> stream;
  capnp::TwoPartyVatNetwork network;
  capnp::RpcSystem<capnp::rpc::twoparty::VatId> system;

  kj::Own<kj::AsyncIoStream> connect(kj::AsyncIoContext& io, kj::StringPtr address,
                                     kj::Maybe<kj::StringPtr> certificate, bool deaf) {
    auto parsed = io.provider->getNetwork().parseAddress(address).wait(io.waitScope);
    auto plain = parsed->connect().wait(io.waitScope);
    KJ_IF_MAYBE(path, certificate) {
      auto disk = kj::newDiskFilesystem();
      auto pem = disk->getRoot().openFile(disk->getCurrentPath().evalNative(*path))->readAllText();
      kj::TlsCertificate trusted(pem);
      kj::TlsContext::Options options;
      options.useSystemTrustStore = false;
      options.trustedCertificates = kj::arrayPtr(&trusted, 1);
      auto context = kj::heap<kj::TlsContext>(options);
      plain = context->wrapClient(kj::mv(plain), "localhost").wait(io.waitScope);
      tls = kj::mv(context);
    }
    if (deaf) return kj::heap<DeafStream>(kj::mv(plain));
    return plain;
  }

  // A page of payloads is larger than what the library reads unasked.
  static capnp::ReaderOptions readerOptions() {
    capnp::ReaderOptions options;
    options.traversalLimitInWords = 64 << 20;
    return options;
  }
};
