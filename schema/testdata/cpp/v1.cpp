// A client of version 1, in the order in which a client comes to know a node: info,
// login, channels, messages, waits, streams, key packages, and what is refused.
//
//   v1 ADDRESS CERTIFICATE|-
#include "peer.h"

#include "node.capnp.c++"

namespace {

constexpr uint16_t VERSION = 1;  // of the schema that this client was built from

// refused expects an error with this code, and gives it back.
template <typename Response>
NodeError::Reader refused(const Response& answer, NodeError::Code code) {
  KJ_REQUIRE(answer.hasError(), "no error", (uint)code);
  auto error = answer.getError();
  KJ_REQUIRE(error.getCode() == code, (uint)error.getCode(), error.getDetail(), (uint)code);
  done("refused: ", error.getDetail());
  return error;
}

template <typename Response>
Response good(Response&& answer) {
  if (answer.hasError()) KJ_FAIL_REQUIRE("refused", (uint)answer.getError().getCode(), answer.getError().getDetail());
  return kj::mv(answer);
}

// Client is the conversation. Both identities are on one connection, each with a
// capability of its own.
class Client {
 public:
  Client(kj::AsyncIoContext& io, Connection& connection)
      : scope(io.waitScope), node(connection.bootstrap<NodeService>()), alice(ask("identity alice")),
        bob(ask("identity bob")) {}

  void run() {
    meet();
    login();
    createChannel();
    messages();
    conditions();
    waits();
    large();
    follow();
    keyPackages();
    capabilities();
    refusals();
    renewAndRevoke();
  }

 private:
  kj::WaitScope& scope;
  NodeService::Client node;  // the bootstrap capability
  kj::Array<kj::byte> alice, bob;
  NodeService::Client asAlice = nullptr, asBob = nullptr;
  kj::Array<kj::byte> channel;
  uint64_t head = 0;

  void meet() {
    auto request = node.infoRequest();
    request.setVersion(VERSION);
    auto answer = good(request.send().wait(scope));
    auto info = answer.getInfo();
    KJ_REQUIRE(info.getMinVersion() <= VERSION && VERSION <= info.getMaxVersion());
    KJ_REQUIRE(info.getMaxPayload() == 5 << 20 && info.getLegacy());
    done("versions ", info.getMinVersion(), " to ", info.getMaxVersion(), ", audience ", info.getAudience());
  }

  // A request is spent once it is sent: what is sent twice is built twice.
  template <typename Params, typename Results>
  using Request = capnp::Request<Params, Results>;

  kj::Array<kj::byte> challenge(kj::ArrayPtr<const kj::byte> key) {
    auto request = node.challengeRequest();
    request.setIdentityKey(key);
    request.setVersion(VERSION);
    return kj::heapArray<kj::byte>(good(request.send().wait(scope)).getNonce());
  }

  // loginRequest signs for the audience that this client was configured for, not for
  // the one that it is told.
  Request<NodeService::LoginParams, NodeService::LoginResults> loginRequest(kj::StringPtr name,
                                                                            kj::ArrayPtr<const kj::byte> key,
                                                                            kj::ArrayPtr<const kj::byte> nonce) {
    kj::Vector<kj::byte> message;
    message.addAll("quicproquo login v1"_kj.asBytes());
    message.add(0);
    message.addAll(ask("audience"));
    message.add(0);
    message.addAll(key);
    message.addAll(nonce);
    auto login = node.loginRequest();
    login.setVersion(VERSION);
    login.setIdentityKey(key);
    login.setNonce(nonce);
    login.setSignature(ask(kj::str("sign ", name, " ", kj::encodeHex(message))));
    return login;
  }

  // login pipelines: the status is asked for on a session that has not come yet.
  void login() {
    auto nonce = challenge(alice);
    auto answer = loginRequest("alice", alice, nonce).send();
    auto status = answer.getSession().keyPackageStatusRequest();
    status.setVersion(VERSION);
    KJ_REQUIRE(good(status.send().wait(scope)).getSuites().size() == 0);
    asAlice = good(answer.wait(scope)).getSession();
    asBob = good(loginRequest("bob", bob, challenge(bob)).send().wait(scope)).getSession();
    auto again = loginRequest("alice", alice, nonce).send().wait(scope);
    refused(again, NodeError::Code::UNAUTHENTICATED);  // the nonce is spent
    done("two logins, and a call on a session before it came");
  }

  void createChannel() {
    for (bool created : {true, false}) {
      auto request = asAlice.createChannelRequest();
      request.setPeerKey(bob);
      request.setVersion(VERSION);
      auto answer = good(request.send().wait(scope));
      KJ_REQUIRE(answer.getCreated() == created && answer.getChannelId().size() == 16);
      KJ_REQUIRE(same(answer.getChannel().getPeerKey(), bob));
      channel = kj::heapArray<kj::byte>(answer.getChannelId());
    }
    auto list = asAlice.listChannelsRequest();
    list.setVersion(VERSION);
    auto channels = good(list.send().wait(scope));
    KJ_REQUIRE(channels.getChannels().size() == 1 && same(channels.getChannels()[0].getId(), channel));
    done("one channel, created once");
  }

  Request<NodeService::EnqueueParams, NodeService::EnqueueResults> enqueue(kj::ArrayPtr<const kj::byte> payload) {
    auto request = asAlice.enqueueRequest();
    request.setChannelId(channel);
    request.setPayload(payload);
    request.setVersion(VERSION);
    return request;
  }

  uint64_t send(kj::ArrayPtr<const kj::byte> payload) {
    return head = good(enqueue(payload).send().wait(scope)).getSeq();
  }

  Request<NodeService::FetchParams, NodeService::FetchResults> fetch(uint64_t ackThrough) {
    auto request = asBob.fetchRequest();
    request.setChannelId(channel);
    request.setAckThrough(ackThrough);
    request.setKeep(true);
    request.setVersion(VERSION);
    return request;
  }

  Request<NodeService::FetchWaitParams, NodeService::FetchWaitResults> fetchWait(uint64_t milliseconds) {
    auto request = asBob.fetchWaitRequest();
    request.setChannelId(channel);
    request.setTimeoutMs(milliseconds);
    request.setKeep(true);
    request.setVersion(VERSION);
    return request;
  }

  void ack(uint64_t through) {
    auto request = asBob.ackRequest();
    request.setChannelId(channel);
    request.setThrough(through);
    request.setVersion(VERSION);
    good(request.send().wait(scope));
  }

  void messages() {
    send("first"_kj.asBytes());
    send("second"_kj.asBytes());
    for (int i = 0; i < 2; i++) {  // what is kept comes again
      auto answer = good(fetch(0).send().wait(scope));
      auto page = answer.getPage();
      KJ_REQUIRE(page.getMessages().size() == 2 && page.getHead() == 2 && page.getAcked() == 0 && !page.hasGap());
      KJ_REQUIRE(same(page.getMessages()[0].getPayload(), "first") && page.getMessages()[1].getSeq() == 2);
      KJ_REQUIRE(answer.getPayloads().size() == 0, "payloads are version 0's");
    }
    KJ_REQUIRE(good(fetch(1).send().wait(scope)).getPage().getMessages().size() == 1);
    ack(2);
    KJ_REQUIRE(good(fetch(0).send().wait(scope)).getPage().getMessages().size() == 0);
    done("two messages, kept until they were acknowledged");
  }

  void conditions() {
    auto named = [&](kj::StringPtr payload) {
      auto request = enqueue(payload.asBytes());
      request.setMessageId("id"_kj.asBytes());
      return request.send().wait(scope);
    };
    head = good(named("once")).getSeq();
    auto again = good(named("once"));
    KJ_REQUIRE(again.getDuplicate() && again.getSeq() == head);
    refused(named("something else"), NodeError::Code::MESSAGE_ID_REUSED);
    auto ifHead = [&](uint64_t is) {
      auto request = enqueue("commit"_kj.asBytes());
      request.initIfHead().setIs(is);
      return request.send().wait(scope);
    };
    auto stale = ifHead(head - 1);
    KJ_REQUIRE(refused(stale, NodeError::Code::PRECONDITION_FAILED).getHead() == head);
    head = good(ifHead(head)).getSeq();
    ack(head);
    done("a repeated send stored once, a condition held");
  }

  // waits cancels more of them than an identity may have at once (64).
  void waits() {
    auto waiting = fetchWait(60'000).send();
    send("awaited"_kj.asBytes());
    KJ_REQUIRE(same(good(waiting.wait(scope)).getPage().getMessages()[0].getPayload(), "awaited"));
    ack(head);
    KJ_REQUIRE(good(fetchWait(10).send().wait(scope)).getPage().getMessages().size() == 0);
    uint cancelled = 0;
    for (; cancelled < 150; cancelled++) {
      auto abandoned = fetchWait(60'000).send();
      for (;;) {  // an answered call behind the wait: the wait is under way
        auto other = fetchWait(1).send().wait(scope);
        if (!other.hasError()) break;
        KJ_REQUIRE(other.getError().getCode() == NodeError::Code::QUOTA_EXCEEDED, other.getError().getDetail());
      }
    }
    done("a wait woken, one that ended with nothing, and ", cancelled, " that were cancelled");
  }

  void large() {
    auto payload = kj::heapArray<kj::byte>(5 << 20);
    for (size_t i = 0; i < payload.size(); i++) payload[i] = i * 2654435761u >> 24;
    send(payload);
    auto answer = good(fetchWait(60'000).send().wait(scope));
    KJ_REQUIRE(same(answer.getPage().getMessages()[0].getPayload(), payload));
    ack(head);
    done("a payload of ", payload.size(), " bytes there and back");
    auto larger = kj::heapArray<kj::byte>(payload.size() + 1);
    refused(enqueue(larger).send().wait(scope), NodeError::Code::PAYLOAD_TOO_LARGE);
  }

  // Sink is this client's end of a stream: it counts, and wakes who waits.
  class Sink final : public EventSink::Server {
   public:
    Sink(uint64_t until, kj::Own<kj::PromiseFulfiller<void>> seen) : until(until), seen(kj::mv(seen)) {}

    kj::Promise<void> event(EventContext context) override {
      auto event = context.getParams().getEvent();
      caughtUp = caughtUp || event.isCaughtUp();
      if (event.isMessage() && event.getMessage().getMessage().getSeq() == until) {
        KJ_REQUIRE(caughtUp, "live before what was stored");
        seen->fulfill();
      }
      return kj::READY_NOW;
    }

   private:
    const uint64_t until;
    bool caughtUp = false;
    kj::Own<kj::PromiseFulfiller<void>> seen;
  };

  void follow() {
    const uint64_t first = head + 1, last = head + 200;  // more than the window
    auto seen = kj::newPromiseAndFulfiller<void>();
    auto request = asBob.followRequest();
    request.setVersion(VERSION);
    request.setUnanswered(16);
    request.setSink(kj::heap<Sink>(last, kj::mv(seen.fulfiller)));
    auto stream = request.send();
    for (auto seq = first; seq <= last; seq++) {
      send("event"_kj.asBytes());
      if (seq % 64 == 0) ack(seq);  // opens the window
    }
    ack(last - 1);
    auto ended = stream.then([](auto&&) { KJ_FAIL_REQUIRE("the stream ended"); });
    seen.promise.exclusiveJoin(kj::mv(ended)).wait(scope);  // and is cancelled so
    ack(last);
    done("a stream of ", last - first + 1, " messages, cancelled then");
  }

  void keyPackages() {
    auto package = ask("keypackage alice");
    auto upload = asAlice.uploadKeyPackagesRequest();
    upload.setVersion(VERSION);
    upload.initPackages(1).set(0, package);
    auto uploaded = good(upload.send().wait(scope));
    auto fingerprint = ask(kj::str("sha256 ", kj::encodeHex(package)));
    KJ_REQUIRE(same(uploaded.getFingerprints()[0], fingerprint));
    auto claim = [&](kj::StringPtr id) {
      auto request = asBob.fetchKeyPackageRequest();
      request.setVersion(VERSION);
      request.setIdentityKey(alice);
      request.setClaimId(id.asBytes());
      return request.send().wait(scope);
    };
    for (int i = 0; i < 2; i++) {  // a retried claim gets the same one
      auto answer = good(claim("claim"));
      KJ_REQUIRE(same(answer.getPackage(), package) && !answer.getLastResort() && answer.getSuite() == 1);
    }
    refused(claim("another"), NodeError::Code::KEY_PACKAGE_NOT_FOUND);
    done("a key package uploaded and claimed");
  }

  // capabilities opens, one after another, many more sessions than the node lets a
  // connection hold, as whoever asked for this run set that bound.
  void capabilities() {
    auto token = ask("token alice");
    uint released = 0;
    for (; released < 100; released++) {
      auto request = node.authenticateRequest();
      request.setVersion(VERSION);
      request.initAuth().setAccessToken(token);
      KJ_REQUIRE(same(good(request.send().wait(scope)).getIdentityKey(), alice));
    }
    kj::Vector<NodeService::Client> held;
    for (bool full = false; !full;) {
      auto request = node.authenticateRequest();
      request.setVersion(VERSION);
      request.initAuth().setAccessToken(token);
      auto answer = request.send().wait(scope);
      full = answer.hasError();
      if (full) refused(answer, NodeError::Code::QUOTA_EXCEEDED);
      else held.add(answer.getSession());
    }
    done(released, " sessions released, and ", held.size(), " held at once");
  }

  void refusals() {
    auto newer = enqueue("x"_kj.asBytes());
    newer.setVersion(VERSION + 1);
    auto answer = newer.send().wait(scope);
    auto range = refused(answer, NodeError::Code::UNSUPPORTED_VERSION);
    KJ_REQUIRE(range.getMinVersion() == 0 && range.getMaxVersion() == VERSION);
    auto malformed = enqueue("x"_kj.asBytes());
    malformed.setChannelId("short"_kj.asBytes());
    refused(malformed.send().wait(scope), NodeError::Code::INVALID_ARGUMENT);
    auto stranger = enqueue("x"_kj.asBytes());
    stranger.setChannelId("0123456789abcdef"_kj.asBytes());
    refused(stranger.send().wait(scope), NodeError::Code::CHANNEL_NOT_FOUND);
    auto other = enqueue("x"_kj.asBytes());
    other.initAuth().setAccessToken(ask("token bob"));
    refused(other.send().wait(scope), NodeError::Code::PERMISSION_DENIED);
    auto nobody = node.ackRequest();
    nobody.setVersion(VERSION);
    refused(nobody.send().wait(scope), NodeError::Code::UNAUTHENTICATED);
    auto beyond = asBob.ackRequest();
    beyond.setVersion(VERSION);
    beyond.setChannelId(channel);
    beyond.setThrough(head + 1);
    auto above = beyond.send().wait(scope);
    KJ_REQUIRE(refused(above, NodeError::Code::INVALID_ARGUMENT).getHead() == head);
    send("the connection goes on"_kj.asBytes());
    done("the connection goes on");
  }

  void renewAndRevoke() {
    auto renew = asAlice.renewRequest();
    renew.setVersion(VERSION);
    renew.initAuth().setAccessToken(ask("token alice"));
    KJ_REQUIRE(good(renew.send().wait(scope)).getExpiresAt() > 0);
    auto revoke = asAlice.revokeRequest();
    revoke.setVersion(VERSION);
    good(revoke.send().wait(scope));
    refused(enqueue("x"_kj.asBytes()).send().wait(scope), NodeError::Code::UNAUTHENTICATED);
    done("renewed, and revoked");
  }
};

}  // namespace

int main(int argc, char* argv[]) {
  KJ_REQUIRE(argc == 3, "usage: v1 ADDRESS CERTIFICATE|-");
  kj::StringPtr certificate = argv[2];
  kj::Maybe<kj::StringPtr> trusted;
  if (certificate != "-") trusted = certificate;
  auto io = kj::setupAsyncIo();
  Connection connection(io, argv[1], trusted);
  Client(io, connection).run();
  return 0;
}
