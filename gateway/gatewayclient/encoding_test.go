package gatewayclient_test

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/quicproquo/node/gateway/gatewayclient"
	"github.com/quicproquo/node/nodeservice"
)

// Whatever a stream says in JSON it says in CBOR.
func TestBothEncodingsSayTheSame(t *testing.T) {
	w := newFaultyWorld(t, nil, gatewayclient.Config{})
	bob, login, key := w.join()
	alice, _, _ := w.join()
	view, _, err := alice.CreateChannel(w.ctx, bob.Identity())
	must(t, err)
	_, err = bob.UploadKeyPackages(w.ctx, nodeservice.UploadRequest{Packages: keyPackages(t, key, 1)})
	must(t, err)
	binary, err := gatewayclient.New(gatewayclient.Config{BaseURL: w.url, Encoding: gatewayclient.CBOR})
	must(t, err)
	other, err := binary.Authenticate(w.ctx, nodeservice.Origin{}, login.Token)
	must(t, err)
	streams := []nodeservice.Stream{w.follow(bob, nodeservice.FollowRequest{}), w.follow(other, nodeservice.FollowRequest{})}

	same := func(want nodeservice.Event) {
		t.Helper()
		var events [2]nodeservice.Event
		for i, s := range streams {
			events[i], err = s.Next(w.ctx)
			must(t, err)
		}
		if !reflect.DeepEqual(events[0], events[1]) || reflect.TypeOf(events[0]) != reflect.TypeOf(want) {
			t.Fatalf("JSON %+v, CBOR %+v; want %T", events[0], events[1], want)
		}
	}
	same(nodeservice.KeyPackagesLowEvent{})
	same(nodeservice.CaughtUpEvent{})
	w.send(alice, view.ID, "\x00\xff")
	same(nodeservice.ChannelEvent{})
	same(nodeservice.MessageEvent{})
	must(t, streams[1].Ack(w.ctx, view.ID, 1))
	same(nodeservice.AckedEvent{})
	wantCode(t, streams[1].Ack(w.ctx, view.ID, 2), nodeservice.CodeInvalidArgument)
	large := bytes.Repeat([]byte{0xfb}, 5<<20)
	w.send(alice, view.ID, string(large))
	same(nodeservice.MessageEvent{})
	must(t, streams[1].Ack(w.ctx, view.ID, 2))
	same(nodeservice.AckedEvent{})

	from := nodeservice.FollowRequest{Channel: view.ID, After: 1}
	streams = []nodeservice.Stream{w.follow(bob, from), w.follow(other, from)}
	same(nodeservice.KeyPackagesLowEvent{})
	same(nodeservice.GapEvent{})
	same(nodeservice.CaughtUpEvent{})
	newer := w.login(key) // in-band renewal is a frame, too
	_, err = other.Renew(w.ctx, newer.Token)
	must(t, err)
	must(t, w.gateway.Shutdown(w.ctx))
	for _, s := range streams {
		if d := next[nodeservice.DrainingEvent](w.world, s); d.RetryAfter <= 0 {
			t.Errorf("%+v", d)
		}
	}
	must(t, other.Close())
	must(t, newer.Session.Close())
	must(t, binary.Close())
	if _, err := gatewayclient.New(gatewayclient.Config{BaseURL: w.url, Encoding: 7}); err == nil {
		t.Error("an unknown encoding is taken")
	}
}
