package noderpc

import (
	"bytes"
	"time"

	"capnproto.org/go/capnp/v3"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
	"github.com/quicproquo/node/schema"
)

// Decoding of what peers send, into the core's types. All bytes are copied: a
// message's memory does not outlive its call.

func invalid(format string, args ...any) error {
	return nodeservice.Errorf(nodeservice.CodeInvalidArgument, format, args...)
}

// unreadable is the error of a pointer that leads nowhere, or of a list that is longer
// than its message.
func unreadable(cause error) error {
	return &nodeservice.Error{
		Code:   nodeservice.CodeInvalidArgument,
		Detail: "the message is not a valid encoding of its schema", Cause: cause,
	}
}

// data copies a Data field; nil if it is empty.
func data(field []byte, err error) ([]byte, error) {
	if err != nil {
		return nil, unreadable(err)
	}
	if len(field) == 0 {
		return nil, nil
	}
	return bytes.Clone(field), nil
}

// text copies a Data field that holds text.
func text(field []byte, err error) (string, error) {
	if err != nil {
		return "", unreadable(err)
	}
	return string(field), nil
}

// key reads an identity; empty bytes are the zero Identity.
func key(field []byte, err error) (nodeservice.Identity, error) {
	if err != nil {
		return nodeservice.Identity{}, unreadable(err)
	}
	if len(field) == 0 {
		return nodeservice.Identity{}, nil
	}
	id, err := identity.ParseKey(field)
	if err != nil {
		return nodeservice.Identity{}, invalid("%v", err)
	}
	return id, nil
}

// someKey is key, but not empty.
func someKey(field []byte, err error) (nodeservice.Identity, error) {
	if err == nil && len(field) == 0 {
		return nodeservice.Identity{}, invalid("an identity key is missing")
	}
	return key(field, err)
}

// channelID reads a channel's id; legacy says that there is none.
func channelID(field []byte, err error) (id nodeservice.ChannelID, legacy bool, _ error) {
	switch {
	case err != nil:
		return id, false, unreadable(err)
	case len(field) == 0:
		return id, true, nil
	case len(field) != len(id):
		return id, false, invalid("channelId has %d bytes; it must be empty, or the 16 bytes of a UUID", len(field))
	}
	copy(id[:], field)
	if id.IsZero() {
		return id, false, invalid("channelId is all zeros, which names no channel")
	}
	return id, false, nil
}

func seq(name string, n uint64) (nodeservice.Seq, error) {
	if n > uint64(nodeservice.MaxSeq) {
		return 0, invalid("%s is above 2^53-1", name)
	}
	return nodeservice.Seq(n), nil
}

// atMost clamps a count of the wire; 0 stays 0, which means the default.
func atMost[N uint32 | uint64](n N, most int) int {
	return int(min(uint64(n), uint64(most)))
}

// ifHead reads the condition of an enqueue; a null pointer is no condition.
func ifHead(in schema.IfHead, err error) (*nodeservice.Seq, error) {
	if err != nil {
		return nil, unreadable(err)
	}
	switch in.Which() {
	case schema.IfHead_Which_any:
		return nil, nil
	case schema.IfHead_Which_is:
		head, err := seq("ifHead", in.Is())
		return &head, err
	}
	return nil, invalid("ifHead is neither any nor is")
}

// dataList copies a List(Data) of at most most items.
func dataList(name string, most int) func(capnp.DataList, error) ([][]byte, error) {
	return func(list capnp.DataList, err error) ([][]byte, error) {
		if err != nil {
			return nil, unreadable(err)
		}
		if list.Len() > most {
			return nil, invalid("%s has %d items; at most %d are allowed", name, list.Len(), most)
		}
		items := make([][]byte, list.Len())
		for i := range items {
			if items[i], err = data(list.At(i)); err != nil {
				return nil, err
			}
		}
		return items, nil
	}
}

const maxSuites = 64 // named in one claim; RFC 9420 defines seven

func suites(list capnp.UInt16List, err error) ([]nodeservice.CipherSuite, error) {
	if err != nil {
		return nil, unreadable(err)
	}
	if list.Len() > maxSuites {
		return nil, invalid("suites has %d items; at most %d are allowed", list.Len(), maxSuites)
	}
	var wanted []nodeservice.CipherSuite
	for i := range list.Len() {
		wanted = append(wanted, nodeservice.CipherSuite(list.At(i)))
	}
	return wanted, nil
}

// millis reads a time to wait: 0 is the default, and longer than allowed is the
// longest allowed.
func millis(ms uint64) time.Duration {
	if ms == 0 {
		return defaultWait
	}
	return time.Duration(min(ms, uint64(nodeservice.MaxWait.Milliseconds()))) * time.Millisecond
}

// defaultWait is how long fetchWait waits unless told.
const defaultWait = 30 * time.Second
