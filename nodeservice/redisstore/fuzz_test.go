package redisstore

import (
	"encoding/binary"
	"testing"

	ns "github.com/quicproquo/node/nodeservice"
)

// answerOf builds what a server might answer out of bytes: lists, integers, byte
// strings and nothings.
func answerOf(b []byte, depth int) (answer any, rest []byte) {
	if len(b) == 0 {
		return nil, nil
	}
	kind, n := b[0]%4, int(b[0]/4)
	b = b[1:]
	switch {
	case kind == 0 && depth > 0:
		list := []any{}
		for range n % 16 {
			var item any
			item, b = answerOf(b, depth-1)
			list = append(list, item)
		}
		return list, b
	case kind == 1:
		var number [8]byte
		b = b[copy(number[8-n%9:], b):]
		return int64(binary.BigEndian.Uint64(number[:])), b
	case kind == 2:
		n = min(n, len(b))
		return string(b[:n]), b[n:]
	}
	return nil, b
}

// FuzzAnswers gives every decoder whatever a server could answer: it must not
// panic, and what it takes must make sense.
func FuzzAnswers(f *testing.F) {
	list := func(items ...byte) []byte { return append([]byte{byte(4 * len(items) / 2)}, items...) }
	f.Add([]byte{})
	f.Add(list(4+1, 6, 4+1, 1, 4+1, 1, 4+1, 1, 4+1, 1, 4+1, 9, 4+1, 0))                            // of an append
	f.Add([]byte{6 * 4, 5, 1, 5, 0, 5, 0, 5, 0, 4, 5 * 4, 5, 1, 5, 1, 5, 1, 6, 'x', 5, 1, 6, '0'}) // a page
	f.Add(append([]byte{16 + 8 + 2*0 + 2}, make([]byte, 48)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		answer, _ := answerOf(b, 3)
		if a, err := decodeAppended(readReply(answer)); err == nil && (a.Outcome < ns.AppendDuplicate || a.Outcome > ns.AppendStored) {
			t.Errorf("an append of outcome %d", a.Outcome)
		}
		page, apart, err := decodePage(readReply(answer))
		for _, p := range apart {
			if err == nil && (p.at >= len(page.Messages) || p.size <= maxInline) {
				t.Errorf("a payload apart that is none: %+v", p)
			}
		}
		state, found, err := decodeState(ns.ChannelID{}, readReply(answer))
		if err == nil && found && (state.Channel.Members[0].IsZero() || state.Channel.Members[1].IsZero()) {
			t.Errorf("a channel without members: %+v", state)
		}
		_, _ = decodeClaimed(readReply(answer))
		_, _ = decodeStock(readReply(answer))
		_, _ = decodeChannel(ns.ChannelID{}, readReply(answer))
		_ = Wait{Disk: true}.reached(answer)
		_ = Wait{Replicas: 1}.reached(answer)
		_, _ = decodePair([2]ns.Identity{}, string(b))
		_, _, _ = decodeReservation(string(b))
		_, _ = freeMemory(string(b))
		if r, err := decodeRevocation(string(b)); err == nil {
			if again, err := decodeRevocation(string(encodeRevocation(r))); err != nil || again != r {
				t.Errorf("%+v came back as %+v, %v", r, again, err)
			}
		}
	})
}
