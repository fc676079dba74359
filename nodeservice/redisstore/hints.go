package redisstore

import (
	"errors"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
)

// A message between nodes is
//
//	format (1 byte), the sending node (8), all (1: 0 or 1), and for each hint:
//	kind (1), length of the owner's key (1), key, channel (16)
//
// Whoever can publish in this Redis can send one. All it does is make readers
// look.
const hintsFormat = 1

const hintsHeader = 1 + len(nodeID{}) + 1

var errHints = errors.New("a message between nodes of an unknown form")

func encodeHints(from nodeID, hints []nodeservice.Hint, all bool) []byte {
	b := make([]byte, 0, hintsHeader+len(hints)*52)
	b = append(b, hintsFormat)
	b = append(b, from[:]...)
	b = append(b, 0)
	if all {
		b[hintsHeader-1] = 1
	}
	for _, h := range hints {
		raw := h.Owner.Raw()
		b = append(b, byte(h.Kind), byte(len(raw)))
		b = append(b, raw...)
		b = append(b, h.Channel[:]...)
	}
	return b
}

// decodeHints reads a message, unless it is node's own: then there is nothing in
// it. Keys are not checked: they are looked up only, among those that subscribed.
func decodeHints(text string, own nodeID) (hints []nodeservice.Hint, all bool, err error) {
	if len(text) < hintsHeader || text[0] != hintsFormat {
		return nil, false, errHints
	}
	if nodeID([]byte(text[1:hintsHeader-1])) == own {
		return nil, false, nil
	}
	all = text[hintsHeader-1] == 1
	for text = text[hintsHeader:]; len(text) > 0; {
		if len(text) < 2 || len(text) < 2+int(text[1])+len(nodeservice.ChannelID{}) {
			return nil, false, errHints
		}
		end := 2 + int(text[1])
		h := nodeservice.Hint{Kind: nodeservice.HintKind(text[0]), Channel: nodeservice.ChannelID([]byte(text[end : end+16]))}
		if end > 2 {
			h.Owner = identity.TrustedKey(text[2:end])
		}
		hints, text = append(hints, h), text[end+16:]
	}
	return hints, all, nil
}
