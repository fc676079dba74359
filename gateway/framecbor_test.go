package gateway

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"github.com/quicproquo/node/nodeservice"
)

const someUUID = "6f1b0c9e-52d5-4c0e-9f0d-0a8a5b3c2d1e"

// item is CBOR by hand: hexadecimal, with texts in quotes (of up to 255 bytes).
func item(t testing.TB, spelled string) []byte {
	t.Helper()
	var out []byte
	for i, part := range strings.Split(spelled, `"`) {
		if i%2 == 0 {
			raw, err := hex.DecodeString(strings.ReplaceAll(part, " ", ""))
			if err != nil {
				t.Fatalf("%q: %v", part, err)
			}
			out = append(out, raw...)
			continue
		}
		if len(part) < 24 {
			out = append(out, 0x60|byte(len(part)))
		} else {
			out = append(out, 0x78, byte(len(part)))
		}
		out = append(out, part...)
	}
	return out
}

func TestDecodeFrameInCBOR(t *testing.T) {
	channel, _ := nodeservice.ParseChannelID(someUUID)
	for spelled, want := range map[string]clientFrame{
		`a3 "type" "ack" "channel_id" "` + someUUID + `" "through" 07`:                       ackFrame{channel, 7},
		`a3 "through" 00 "channel_id" "` + someUUID + `" "type" "ack"`:                       ackFrame{channel, 0},
		`a3 "type" "ack" "channel_id" "` + someUUID + `" "through" 1b 001fffffffffffff`:      ackFrame{channel, nodeservice.MaxSeq},
		`a3 "type" "ack" "channel_id" "00000000-0000-0000-0000-000000000000" "through" 1807`: ackFrame{nodeservice.ChannelID{}, 7},
		`a2 "type" "auth" "token" "a.b.c"`:                                                   authFrame{"a.b.c"},
		`a1 "type" "pong"`:                                                                   pongFrame{},
	} {
		if got, err := cborNotation.decodeFrame(item(t, spelled)); err != nil || got != want {
			t.Errorf("%s: got %v, %v", spelled, got, err)
		}
	}
}

// badFramesInCBOR are hostile or mistaken, each by what the client must be told.
var badFramesInCBOR = map[string]string{
	``:                          "one CBOR map",
	`f6`:                        "one CBOR map", // null, an empty map to some
	`f7`:                        "one CBOR map",
	`80`:                        "one CBOR map",
	`"ack"`:                     "one CBOR map",
	`a1`:                        "one CBOR map", // cut short
	`a1 "type"`:                 "one CBOR map",
	`bb ffffffffffffffff`:       "one CBOR map", // of so many members
	`a1 "type" "pong" 00`:       "one CBOR map", // something after it
	`bf "type" "pong" ff`:       "one CBOR map", // indefinite lengths
	`a1 "type" 7f "pong" ff`:    "one CBOR map",
	`a1 7f "type" ff "pong"`:    "one CBOR map",
	`d9d9f7 a1 "type" "pong"`:   "one CBOR map", // tags
	`a1 "type" d820 "pong"`:     "one CBOR map",
	`a1 01 "pong"`:              "one CBOR map", // keys that are no text
	`a1 44 74797065 "pong"`:     "one CBOR map",
	`a2 "type" "pong" f6 01`:    `"" is unknown`, // the library takes a null for an empty key
	`a2 "type" "pong" 61 ff 00`: "one CBOR map",  // no UTF-8
	`a2 "type" "pong" "x" ` + strings.Repeat("81", 8) + `00`: "one CBOR map", // too deep
	`a2 "type" "pong" "x" 98 11` + strings.Repeat("00", 17):  "one CBOR map",
	`a2 "type" "pong" "type" "pong"`:                         `"type" appears twice`,
	`a2 "type" "pong" "x" 01`:                                `"x" is unknown`,
	`a2 "type" "pong" "Type" "pong"`:                         `"Type" is unknown`,
	`a0`:                                                     `"type" that is a string`,
	`a1 "type" 01`:                                           `"type" that is a string`,
	`a1 "type" f6`:                                           `"type" that is a string`,
	`a1 "type" 44 706f6e67`:                                  `"type" that is a string`, // a byte string
	`a1 "type" 62 c328`:                                      `"type" that is a string`, // no UTF-8
	`a1 "Type" "pong"`:                                       `"type" that is a string`,
	`a1 "type" "message"`:                                    `type "message"`,
	`a2 "type" "auth" "token" 62 c328`:                       `token: `,
	`a2 "type" "auth" "token" 43 612e62`:                     `token: `,
	`a1 "type" "auth"`:                                       `"token" is missing`,
	`a2 "type" "ack" "through" 01`:                           `"channel_id" is missing`,
	`a3 "type" "ack" "channel_id" "x" "through" 01`:          `channel_id: `,
	`a3 "type" "ack" "channel_id" 50 ` + strings.Repeat("01", 16) + ` "through" 01`: `channel_id: `, // bytes
	`a3 "type" "ack" "channel_id" "` + someUUID + `" "through" 20`:                  `through: `,    // -1
	`a3 "type" "ack" "channel_id" "` + someUUID + `" "through" f93c00`:              `through: `,    // 1.0
	`a3 "type" "ack" "channel_id" "` + someUUID + `" "through" f97e00`:              `through: `,    // NaN
	`a3 "type" "ack" "channel_id" "` + someUUID + `" "through" "1"`:                 `through: `,
	`a3 "type" "ack" "channel_id" "` + someUUID + `" "through" f5`:                  `through: `,
	`a3 "type" "ack" "channel_id" "` + someUUID + `" "through" f6`:                  `through: `,
	`a3 "type" "ack" "channel_id" "` + someUUID + `" "through" 1b0020000000000000`:  `through: `,
	`a3 "type" "ack" "channel_id" "` + someUUID + `" "through" c24101`:              "one CBOR map", // a bignum
}

func TestBadFramesInCBORAreRefused(t *testing.T) {
	for spelled, told := range badFramesInCBOR {
		frame, err := cborNotation.decodeFrame(item(t, spelled))
		if nodeservice.CodeOf(err) != nodeservice.CodeInvalidArgument || !strings.Contains(err.Error(), told) {
			t.Errorf("%s: got %v, %v, want %q", spelled, frame, err, told)
		}
	}
}

// Whatever decodes says the same when it is written and read again; nothing makes
// the decoder panic.
func FuzzDecodeFrameInCBOR(f *testing.F) {
	for spelled := range badFramesInCBOR {
		f.Add(item(f, spelled))
	}
	f.Add(item(f, `a3 "type" "ack" "channel_id" "`+someUUID+`" "through" 07`))
	f.Add(item(f, `a2 "type" "auth" "token" "a.b.c"`))
	f.Fuzz(func(t *testing.T, data []byte) {
		before := bytes.Clone(data)
		frame, err := cborNotation.decodeFrame(data)
		if !bytes.Equal(before, data) {
			t.Fatal("the decoder wrote to its input")
		}
		if err != nil {
			if nodeservice.CodeOf(err) != nodeservice.CodeInvalidArgument {
				t.Fatalf("%v", err)
			}
			return
		}
		members := map[string]any{"type": "pong"}
		switch frame := frame.(type) {
		case ackFrame:
			members = map[string]any{"type": "ack", "channel_id": frame.Channel.String(), "through": uint64(frame.Through)}
		case authFrame:
			members = map[string]any{"type": "auth", "token": frame.Token}
		}
		again, err := cbor.Marshal(members)
		if err != nil {
			t.Fatal(err)
		}
		if same, err := cborNotation.decodeFrame(again); err != nil || same != frame {
			t.Fatalf("%x became %x, %v", data, again, err)
		}
	})
}
