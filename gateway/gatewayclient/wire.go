package gatewayclient

import (
	"encoding/base64"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/quicproquo/node/nodeservice"
)

var rawURL = base64.RawURLEncoding.Strict()

// octets are bytes in base64url without padding.
type octets []byte

// MarshalText implements encoding.TextMarshaler.
func (o octets) MarshalText() ([]byte, error) { return rawURL.AppendEncode(nil, o), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (o *octets) UnmarshalText(text []byte) (err error) {
	*o, err = rawURL.AppendDecode(nil, text)
	return err
}

// fingerprint reads that of a key package.
func fingerprint(raw octets) (print nodeservice.Fingerprint, err error) {
	if len(raw) != len(print) {
		return print, nodeservice.Errorf(nodeservice.CodeInternal, "the gateway answered with a fingerprint of %d bytes, not %d", len(raw), len(print))
	}
	copy(print[:], raw)
	return print, nil
}

// list is a list in an answer; a node's are not longer. encoding/json skips what exceeds
// an array, so that a list of millions of empty things costs a client nothing.
type list[T any] [longest + 1]*T

// longest is the most that any list has: a page.
const longest = max(nodeservice.MaxFetch, nodeservice.MaxChannelsPage, nodeservice.MaxUpload)

// items are those of the list, in order.
func (l *list[T]) items() (items []T, err error) {
	for _, item := range l {
		if item == nil {
			return items, nil
		}
		items = append(items, *item)
	}
	return nil, nodeservice.Errorf(nodeservice.CodeInternal, "the gateway's answer has more than %d items", longest)
}

// millis is a time to wait, in milliseconds. It counts as 24 hours at most.
type millis int64

func (m millis) duration() time.Duration {
	return time.Duration(min(max(m, 0), millis(24*time.Hour/time.Millisecond))) * time.Millisecond
}

// said is an error that a gateway sent. A code that we do not know becomes internal. The
// sentence may be shown on a terminal: what is not printable becomes a space.
func said(code nodeservice.Code, detail string) *nodeservice.Error {
	if !slices.Contains(nodeservice.Codes(), code) {
		code = nodeservice.CodeInternal
	}
	printable := func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}
	return &nodeservice.Error{Code: code, Detail: strings.Map(printable, detail[:min(len(detail), maxDetail)])}
}

const maxDetail = 1 << 10 // bytes

// instant is a time in RFC 3339.
type instant struct{ time.Time }

// milli is 0 for a time that was not told.
func (i instant) milli() nodeservice.UnixMilli {
	if i.IsZero() {
		return 0
	}
	return nodeservice.Milli(i.Time)
}

// channelID is a UUID in text.
type channelID nodeservice.ChannelID

// UnmarshalText implements encoding.TextUnmarshaler.
func (c *channelID) UnmarshalText(text []byte) error {
	id, err := nodeservice.ParseChannelID(string(text))
	*c = channelID(id)
	return err
}

// key is an identity in base64url.
type key struct{ nodeservice.Identity }

// UnmarshalText implements encoding.TextUnmarshaler.
func (k *key) UnmarshalText(text []byte) (err error) {
	k.Identity, err = parseKey(string(text))
	return err
}

type channel struct {
	ChannelID channelID       `json:"channel_id"`
	Peer      key             `json:"peer"`
	CreatedAt instant         `json:"created_at"`
	Head      nodeservice.Seq `json:"head"`
	Acked     nodeservice.Seq `json:"acked"`
	Unread    uint64          `json:"unread"`
	Created   bool            `json:"created"`
}

func (c channel) view() nodeservice.ChannelView {
	return nodeservice.ChannelView{
		ID: nodeservice.ChannelID(c.ChannelID), Peer: c.Peer.Identity, CreatedAt: c.CreatedAt.milli(),
		Head: c.Head, Acked: c.Acked, Unread: c.Unread,
	}
}

type message struct {
	Seq        nodeservice.Seq `json:"seq"`
	ReceivedAt instant         `json:"received_at"`
	Payload    octets          `json:"payload"`
}

// message comes without ExpiresAt, which HTTP does not tell.
func (m message) message() nodeservice.Message {
	return nodeservice.Message{Seq: m.Seq, ReceivedAt: m.ReceivedAt.milli(), Payload: m.Payload}
}

type gap struct {
	From   nodeservice.Seq `json:"from"`
	To     nodeservice.Seq `json:"to"`
	Reason string          `json:"reason"`
}

func (g gap) gap() nodeservice.Gap {
	out := nodeservice.Gap{From: g.From, To: g.To}
	for _, reason := range []nodeservice.GapReason{nodeservice.GapExpired, nodeservice.GapAcked, nodeservice.GapRestored} {
		if reason.String() == g.Reason {
			out.Reason = reason
		}
	}
	return out
}

// serverFrame is every frame of the server: its members by their one set of names.
type serverFrame struct {
	Type      string          `json:"type"`
	ChannelID channelID       `json:"channel_id"`
	Through   nodeservice.Seq `json:"through"`
	Peer      key             `json:"peer"`
	CreatedAt instant         `json:"created_at"`
	Head      nodeservice.Seq `json:"head"`
	message
	gap
	Suite        nodeservice.CipherSuite `json:"suite"`
	Remaining    uint32                  `json:"remaining"`
	ExpiresAt    instant                 `json:"expires_at"`
	RetryAfterMS millis                  `json:"retry_after_ms"`
	Code         nodeservice.Code        `json:"code"`
	Detail       string                  `json:"detail"`
}

// event is the frame's event; nil if it has none.
func (f serverFrame) event() nodeservice.Event {
	id := nodeservice.ChannelID(f.ChannelID)
	switch f.Type {
	case "message":
		return nodeservice.MessageEvent{Channel: id, Message: f.message.message()}
	case "channel":
		view := channel{ChannelID: f.ChannelID, Peer: f.Peer, CreatedAt: f.CreatedAt, Head: f.Head}.view()
		return nodeservice.ChannelEvent{Channel: view}
	case "gap":
		return nodeservice.GapEvent{Channel: id, Gap: f.gap.gap()}
	case "caught_up":
		return nodeservice.CaughtUpEvent{}
	case "acked":
		return nodeservice.AckedEvent{Channel: id, Through: f.Through}
	case "key_packages_low":
		return nodeservice.KeyPackagesLowEvent{Stock: nodeservice.KeyPackageStock{CipherSuite: f.Suite, OneTime: f.Remaining}}
	case "token_expiring":
		return nodeservice.TokenExpiringEvent{ExpiresAt: f.ExpiresAt.milli()}
	case "draining":
		return nodeservice.DrainingEvent{RetryAfter: f.RetryAfterMS.duration()}
	}
	return nil
}
