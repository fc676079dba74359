// A client of version 0, built from the frozen schema: it knows no channels, no
// acknowledgement and no error but an exception.
//
//   v0 ADDRESS CERTIFICATE|- converse       a whole conversation of two
//   v0 ADDRESS CERTIFICATE|- drain          fetch until nothing comes any more
//   v0 ADDRESS CERTIFICATE|- once           fetch once, and leave at once
//   v0 ADDRESS CERTIFICATE|- unread         ask for the messages, and never read them
#include "peer.h"

#include "node0.capnp.c++"

namespace {

// Person is one identity's view of the node.
class Person {
 public:
  Person(kj::WaitScope& scope, NodeService::Client node, kj::StringPtr name)
      : name(kj::str(name)), key(ask(kj::str("identity ", name))), token(ask(kj::str("token ", name))),
        scope(scope), node(kj::mv(node)) {}

  const kj::String name;
  const kj::Array<kj::byte> key;
  kj::Array<kj::byte> token;

  void enqueue(const Person& to, kj::ArrayPtr<const kj::byte> payload) {
    auto request = node.enqueueRequest();
    request.setRecipientKey(to.key);
    request.setPayload(payload);
    request.initAuth().setAccessToken(token);
    request.send().wait(scope);
  }

  kj::Promise<capnp::Response<NodeService::FetchResults>> fetch() {
    auto request = node.fetchRequest();
    request.setRecipientKey(key);
    request.initAuth().setAccessToken(token);
    return request.send();
  }

  kj::Promise<capnp::Response<NodeService::FetchWaitResults>> fetchWait(uint64_t milliseconds) {
    auto request = node.fetchWaitRequest();
    request.setRecipientKey(key);
    request.setTimeoutMs(milliseconds);
    request.initAuth().setAccessToken(token);
    return request.send();
  }

  kj::Array<kj::byte> upload(kj::ArrayPtr<const kj::byte> package) {
    auto request = node.uploadKeyPackageRequest();
    request.setIdentityKey(key);
    request.setPackage(package);
    request.initAuth().setAccessToken(token);
    return kj::heapArray<kj::byte>(request.send().wait(scope).getFingerprint());
  }

  kj::Array<kj::byte> claim(const Person& owner) {
    auto request = node.fetchKeyPackageRequest();
    request.setIdentityKey(owner.key);
    request.initAuth().setAccessToken(token);
    return kj::heapArray<kj::byte>(request.send().wait(scope).getPackage());
  }

 private:
  kj::WaitScope& scope;
  NodeService::Client node;
};

// throws expects an exception that says something of what is wrong.
template <typename Call>
void throws(kj::StringPtr about, Call&& call) {
  KJ_IF_MAYBE(exception, kj::runCatchingExceptions(call)) {
    kj::StringPtr said = exception->getDescription();
    KJ_REQUIRE(std::string(said.cStr()).find(about.cStr()) != std::string::npos, "another exception", said, about);
    done("refused: ", said);
    return;
  }
  KJ_FAIL_REQUIRE("no exception about", about);
}

// drain fetches until nothing comes, as these clients do.
uint64_t drain(kj::WaitScope& scope, Person& bob) {
  for (uint64_t count = 0;;) {
    auto page = bob.fetch().wait(scope).getPayloads().size();
    done("a page of ", page);
    if (page == 0) return count;
    count += page;
  }
}

void converse(kj::AsyncIoContext& io, Person& alice, Person& bob) {
  auto& scope = io.waitScope;
  KJ_REQUIRE(bob.fetch().wait(scope).getPayloads().size() == 0);
  alice.enqueue(bob, "first"_kj.asBytes());
  alice.enqueue(bob, "second"_kj.asBytes());
  {
    auto answer = bob.fetch().wait(scope);
    auto payloads = answer.getPayloads();
    KJ_REQUIRE(payloads.size() == 2);
    KJ_REQUIRE(same(payloads[0], "first") && same(payloads[1], "second"));
  }
  KJ_REQUIRE(bob.fetch().wait(scope).getPayloads().size() == 0, "what was fetched came again");
  done("two messages, in order, once");

  auto waiting = bob.fetchWait(60'000);
  alice.enqueue(bob, "awaited"_kj.asBytes());
  KJ_REQUIRE(same(waiting.wait(scope).getPayloads()[0], "awaited"));
  KJ_REQUIRE(bob.fetchWait(10).wait(scope).getPayloads().size() == 0);
  done("a wait woken, and one that ends with nothing");

  {
    auto abandoned = bob.fetchWait(60'000);
    KJ_REQUIRE(bob.fetch().wait(scope).getPayloads().size() == 0);  // so the wait has been sent
  }
  alice.enqueue(bob, "kept"_kj.asBytes());
  KJ_REQUIRE(same(bob.fetchWait(60'000).wait(scope).getPayloads()[0], "kept"), "a wait that nobody awaits took it");
  done("a wait that was cancelled took nothing");

  auto large = kj::heapArray<kj::byte>(5 << 20);
  for (size_t i = 0; i < large.size(); i++) large[i] = i * 2654435761u >> 24;
  alice.enqueue(bob, large);
  KJ_REQUIRE(same(bob.fetch().wait(scope).getPayloads()[0], large));
  done("a payload of ", large.size(), " bytes there and back");

  auto package = ask("keypackage alice");
  auto fingerprint = alice.upload(package);
  KJ_REQUIRE(same(ask(kj::str("sha256 ", kj::encodeHex(package))), fingerprint));
  KJ_REQUIRE(same(bob.claim(alice), package));
  done("a key package uploaded and claimed");
  throws("key package", [&] { bob.claim(alice); });
  throws("payload", [&] { alice.enqueue(bob, nullptr); });
  alice.token = kj::heapArray<kj::byte>("garbage"_kj.asBytes());
  throws("token", [&] { alice.enqueue(bob, "x"_kj.asBytes()); });
  bob.enqueue(alice, "the connection goes on"_kj.asBytes());
  done("the connection goes on");
}

// unread asks over a stream that it never reads, until somebody kills it.
[[noreturn]] void unread(kj::WaitScope& scope, Person& bob) {
  bob.fetch().wait(scope);
  KJ_FAIL_REQUIRE("a stream that is never read had an answer");
}

}  // namespace

int main(int argc, char* argv[]) {
  KJ_REQUIRE(argc == 4, "usage: v0 ADDRESS CERTIFICATE|- converse|drain|once|unread");
  kj::StringPtr certificate = argv[2], mode = argv[3];
  kj::Maybe<kj::StringPtr> trusted;
  if (certificate != "-") trusted = certificate;
  auto io = kj::setupAsyncIo();
  Connection connection(io, argv[1], trusted, mode == "unread");
  auto node = connection.bootstrap<NodeService>();
  Person bob(io.waitScope, node, "bob");
  if (mode == "converse") {
    Person alice(io.waitScope, node, "alice");
    converse(io, alice, bob);
  } else if (mode == "drain") {
    done("drained ", drain(io.waitScope, bob));
  } else if (mode == "once") {
    done("fetched ", bob.fetch().wait(io.waitScope).getPayloads().size());
    connection.leave();
  } else if (mode == "unread") {
    unread(io.waitScope, bob);
  } else {
    KJ_FAIL_REQUIRE("no such mode", mode);
  }
  return 0;
}
