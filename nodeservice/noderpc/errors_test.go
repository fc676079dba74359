package noderpc

import (
	"reflect"
	"testing"
	"time"

	"capnproto.org/go/capnp/v3"
	"capnproto.org/go/capnp/v3/exc"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/schema"
)

func TestEveryCodeCrossesTheWire(t *testing.T) {
	if len(codes) != len(nodeservice.Codes()) || len(meanings) != len(codes) {
		t.Fatalf("%d codes of the core, %d in the table, %d back", len(nodeservice.Codes()), len(codes), len(meanings))
	}
	head := nodeservice.Seq(9)
	for _, code := range nodeservice.Codes() {
		if codes[code] == schema.NodeError_Code_unspecified {
			t.Errorf("%s is not in the table", code)
		}
		sent := &nodeservice.Error{
			Code: code, Detail: "a sentence", RetryAfter: 3 * time.Second, Head: &head, MinVersion: 1, MaxVersion: 2,
		}
		_, seg := capnp.NewSingleSegmentMessage(nil)
		wire, err := schema.NewRootNodeError(seg)
		if err != nil {
			t.Fatal(err)
		}
		if err := encodeError(wire, sent); err != nil {
			t.Fatal(err)
		}
		if got := decodeError(wire); !reflect.DeepEqual(got, error(sent)) {
			t.Errorf("%+v arrived as %+v", sent, got)
		}
	}
}

func TestAnUnknownCodeIsInternal(t *testing.T) {
	_, seg := capnp.NewSingleSegmentMessage(nil)
	wire, err := schema.NewRootNodeError(seg)
	if err != nil {
		t.Fatal(err)
	}
	wire.SetCode(999)
	if code := nodeservice.CodeOf(decodeError(wire)); code != nodeservice.CodeInternal {
		t.Fatalf("got %q", code)
	}
}

func TestExceptionsSayTheSameSentence(t *testing.T) {
	for _, code := range nodeservice.Codes() {
		err := exception(nodeservice.Errorf(code, "a sentence"))
		if err.Error() != string(code)+": a sentence" {
			t.Errorf("%s: %v", code, err)
		}
		wantType := exc.Failed
		if code == nodeservice.CodeRateLimited || code == nodeservice.CodeUnavailable {
			wantType = exc.Overloaded
		}
		if exc.TypeOf(err) != wantType {
			t.Errorf("%s is of type %v", code, exc.TypeOf(err))
		}
	}
}
