package gateway

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
	"github.com/quicproquo/node/openapi/openapitest"
)

var update = flag.Bool("update", false, "write the golden frames anew")

// goldenFrames are one frame of each type of the server.
func goldenFrames(t *testing.T) []any {
	id, err := identity.ParseKeyText("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo") // RFC 8037 appendix A.2
	if err != nil {
		t.Fatal(err)
	}
	channel, err := nodeservice.ParseChannelID("6f1b0c9e-52d5-4c0e-9f0d-0a8a5b3c2d1e")
	if err != nil {
		t.Fatal(err)
	}
	at := nodeservice.Milli(time.Date(2026, 11, 23, 4, 5, 6, 70_000_000, time.UTC))
	frames := []any{helloOf(id, at.Time())}
	for _, event := range []nodeservice.Event{
		nodeservice.MessageEvent{Channel: channel, Message: nodeservice.Message{Seq: nodeservice.MaxSeq, ReceivedAt: at, Payload: []byte{0, 0xfb, 0xff, '<'}}},
		nodeservice.ChannelEvent{Channel: nodeservice.ChannelView{ID: channel, Peer: id, CreatedAt: at}},
		nodeservice.GapEvent{Channel: channel, Gap: nodeservice.Gap{From: 1, To: 3, Reason: nodeservice.GapExpired}},
		nodeservice.GapEvent{Channel: channel, Gap: nodeservice.Gap{From: 1, To: 3, Reason: nodeservice.GapAcked}},
		nodeservice.GapEvent{Channel: channel, Gap: nodeservice.Gap{From: 1, To: 1 << 32, Reason: nodeservice.GapRestored}},
		nodeservice.CaughtUpEvent{},
		nodeservice.AckedEvent{Channel: channel, Through: 3},
		nodeservice.KeyPackagesLowEvent{Stock: nodeservice.KeyPackageStock{CipherSuite: 1, OneTime: 24}},
		nodeservice.TokenExpiringEvent{ExpiresAt: at},
		nodeservice.DrainingEvent{RetryAfter: 1500 * time.Millisecond},
	} {
		frames = append(frames, frameOf(event))
	}
	return append(frames, errorOf(nodeservice.Errorf(nodeservice.CodeInvalidArgument, "a sentence")), bareFrame{"ping"})
}

func TestFramesAreAsTheyWere(t *testing.T) {
	const golden = "testdata/frames.jsonl"
	var got bytes.Buffer
	for _, frame := range goldenFrames(t) {
		data, err := codecs[0].encode(frame)
		if err != nil {
			t.Fatal(err)
		}
		got.Write(append(data, '\n'))
	}
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("got\n%swant\n%s", got.String(), want)
	}
}

// TestFramesInCBORAreAsTheyWere has a frame in hexadecimal on each line, in the
// order of the JSON ones.
func TestFramesInCBORAreAsTheyWere(t *testing.T) {
	const golden = "testdata/frames.cbor.hex"
	var got bytes.Buffer
	for _, frame := range goldenFrames(t) {
		data, err := codecs[1].encode(frame)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&got, "%x\n", data)
	}
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("got\n%swant\n%s", got.String(), want)
	}
}

// Both encodings say the same, but for bytes: those are bytes in CBOR. What they
// say is as the contract has it.
func TestEncodingsSayTheSame(t *testing.T) {
	schemas := openapitest.LoadFrames(t)
	for _, frame := range goldenFrames(t) {
		text, err := codecs[0].encode(frame)
		if err != nil {
			t.Fatal(err)
		}
		if err := schemas.Check(text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		data, err := codecs[1].encode(frame)
		if err != nil {
			t.Fatal(err)
		}
		var members map[string]any
		mode, err := cbor.DecOptions{DefaultMapType: reflect.TypeFor[map[string]any]()}.DecMode()
		if err == nil {
			err = mode.Unmarshal(data, &members)
		}
		if err != nil {
			t.Fatal(err)
		}
		if payload, ok := members["payload"]; ok {
			members["payload"] = octets(payload.([]byte)) // anything but a byte string panics
		}
		same, err := json.Marshal(members)
		if err != nil {
			t.Fatal(err)
		}
		var one, other any
		if json.Unmarshal(text, &one) != nil || json.Unmarshal(same, &other) != nil || !reflect.DeepEqual(one, other) {
			t.Errorf("JSON says %s, CBOR %s", text, same)
		}
	}
}

const someChannel = `"6f1b0c9e-52d5-4c0e-9f0d-0a8a5b3c2d1e"`

func TestDecodeFrame(t *testing.T) {
	channel, _ := nodeservice.ParseChannelID(strings.Trim(someChannel, `"`))
	for text, want := range map[string]clientFrame{
		`{"type":"ack","channel_id":` + someChannel + `,"through":7}`:                    ackFrame{channel, 7},
		` {"through":0, "channel_id":` + someChannel + `,"type":"ack"}`:                  ackFrame{channel, 0},
		`{"type":"ack","channel_id":"00000000-0000-0000-0000-000000000000","through":7}`: ackFrame{nodeservice.ChannelID{}, 7},
		`{"type":"auth","token":"a.b.c"}`:                                                authFrame{"a.b.c"},
		`{"type":"pong"}`:                                                                pongFrame{},
		`{"type":"po\u006eg"}`:                                                           pongFrame{},
	} {
		if got, err := jsonNotation.decodeFrame([]byte(text)); err != nil || got != want {
			t.Errorf("%s: got %v, %v", text, got, err)
		}
	}
}

var badFrames = []string{
	``, ` `, `{`, `{}`, `[]`, `null`, `"ack"`, `1`, `{"type":1}`, `{"type":null}`, `{"type":""}`, `{"type":"message"}`,
	`{"Type":"pong"}`, `{"type":"pong","type":"pong"}`, `{"type":"pong","x":1}`, `{"type":"pong"}{}`, "{\"type\":\"\xff\"}",
	`{"type":"ack"}`, `{"type":"ack","channel_id":` + someChannel + `}`, `{"type":"ack","through":1}`,
	`{"type":"ack","channel_id":` + someChannel + `,"through":-1}`,
	`{"type":"ack","channel_id":` + someChannel + `,"through":1.5}`,
	`{"type":"ack","channel_id":` + someChannel + `,"through":1e3}`,
	`{"type":"ack","channel_id":` + someChannel + `,"through":"1"}`,
	`{"type":"ack","channel_id":` + someChannel + `,"through":9007199254740992}`,
	`{"type":"ack","channel_id":"x","through":1}`, `{"type":"ack","channel_id":null,"through":1}`,
	`{"type":"auth"}`, `{"type":"auth","token":null}`, `{"type":"auth","token":[[[[[[[[[]]]]]]]]]}`,
	`{"type":"auth","token":"x","Token":"y"}`,
}

func TestBadFramesAreRefused(t *testing.T) {
	for _, text := range badFrames {
		frame, err := jsonNotation.decodeFrame([]byte(text))
		if nodeservice.CodeOf(err) != nodeservice.CodeInvalidArgument {
			t.Errorf("%s: got %v, %v", text, frame, err)
		}
	}
}

// Whatever decodes says the same when it is written and read again; nothing
// makes the decoder panic, or take what encoding/json would not.
func FuzzDecodeFrame(f *testing.F) {
	for _, text := range badFrames {
		f.Add([]byte(text))
	}
	f.Add([]byte(`{"type":"ack","channel_id":` + someChannel + `,"through":7}`))
	f.Add([]byte(`{"type":"auth","token":"a.b.c"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		frame, err := jsonNotation.decodeFrame(data)
		if err != nil {
			if nodeservice.CodeOf(err) != nodeservice.CodeInvalidArgument {
				t.Fatalf("%v", err)
			}
			return
		}
		if !json.Valid(data) {
			t.Fatalf("took what is not JSON: %q", data)
		}
		var again []byte
		switch frame := frame.(type) {
		case ackFrame:
			again, err = json.Marshal(map[string]any{"type": "ack", "channel_id": frame.Channel.String(), "through": frame.Through})
		case authFrame:
			again, err = json.Marshal(map[string]any{"type": "auth", "token": frame.Token})
		case pongFrame:
			again = []byte(`{"type":"pong"}`)
		}
		if err != nil {
			t.Fatal(err)
		}
		if same, err := jsonNotation.decodeFrame(again); err != nil || same != frame {
			t.Fatalf("%q became %q, %v", data, again, err)
		}
	})
}

// The strict reader and encoding/json see the same members in what both take.
func FuzzParseObject(f *testing.F) {
	for _, text := range append(badFrames, `{"a":{"b":[1,"}",{"c":"\"]"}]} , "d" :true}`, `{"a":[],"b":{}}`) {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		members, err := parseObject(data)
		if err != nil {
			return
		}
		var want map[string]json.RawMessage
		if err := json.Unmarshal(data, &want); err != nil || len(members) != len(want) {
			t.Fatalf("%q: %d members, want %d (%v)", data, len(members), len(want), err)
		}
		for name, value := range want {
			if !bytes.Equal(members[name], value) {
				t.Fatalf("%q: %q is %q, want %q", data, name, members[name], value)
			}
		}
	})
}

func TestBytesHaveOneSpelling(t *testing.T) {
	for text, ok := range map[string]bool{
		"": true, "AA": true, "AAA": true, "AAAA": true, "_-8": true,
		"A": false, "AB": false, "AAB": false, "AA==": false, "A A": false, "AA\nAA": false, "AAAA\n": false, "\nAA": false, "+/8": false,
	} {
		raw, err := decodeBytes([]byte(text))
		if (err == nil) != ok {
			t.Errorf("%q: %v, %v", text, raw, err)
		}
	}
}
