package gateway

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/quicproquo/node/nodeservice"
)

// pageText is a page of messages in JSON, but for the payloads, which are spelled as
// they are sent: of 8 MiB of them encoding/json would make copies of 40 MiB, for as
// long as a client takes to read the answer.
type pageText struct {
	messages []nodeservice.Message
	heads    [][]byte // of each message, up to its payload
	tail     []byte   // of the page, behind its messages
	payloads int      // bytes
	size     int      // bytes of the whole text
}

const (
	pageBegins  = `{"messages":[`
	messageEnds = `"}`
)

func pageTextOf(id nodeservice.ChannelID, page nodeservice.Page) (pageText, error) {
	rest, err := json.Marshal(struct {
		Head  nodeservice.Seq `json:"head"`
		Acked nodeservice.Seq `json:"acked"`
		Floor nodeservice.Seq `json:"floor"`
		Gap   *gap            `json:"gap"` // null: nothing is missing
		More  bool            `json:"more"`
	}{page.Head, page.Acked, page.Floor, gapOrNull(page.Gap), page.More})
	if err != nil {
		return pageText{}, err
	}
	t := pageText{messages: page.Messages, tail: append([]byte("],"), rest[1:]...)}
	t.size = len(pageBegins) + len(t.tail)
	for i, m := range page.Messages {
		comma := ","
		if i == 0 {
			comma = ""
		}
		head := fmt.Appendf(nil, `%s{"channel_id":"%s","seq":%d,"received_at":"%s","payload":"`,
			comma, id, m.Seq, m.ReceivedAt.Time().Format(timeLayout))
		t.heads = append(t.heads, head)
		t.payloads += len(m.Payload)
		t.size += len(head) + base64.RawURLEncoding.EncodedLen(len(m.Payload)) + len(messageEnds)
	}
	return t, nil
}

func gapOrNull(g *nodeservice.Gap) *gap {
	if g == nil {
		return nil
	}
	out := gapOf(*g)
	return &out
}

// writePage answers with a page.
func writePage(w http.ResponseWriter, id nodeservice.ChannelID, page nodeservice.Page) error {
	t, err := pageTextOf(id, page)
	if err != nil {
		return err
	}
	giveTime(w, t.size)
	holdMore(w, t.payloads) // after that: who is cut has no time left
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(t.size))
	w.WriteHeader(http.StatusOK)
	t.write(w)
	return nil
}

// write stops where the peer cannot be written to any more: it cannot be told.
func (t pageText) write(w http.ResponseWriter) {
	const step = 24 << 10 // bytes of a payload; whole groups of three, so that their texts join
	text := make([]byte, 0, 2*step)
	text = append(text, pageBegins...)
	for i, m := range t.messages {
		text = append(text, t.heads[i]...)
		for part := range slices.Chunk(m.Payload, step) {
			if len(text)+base64.RawURLEncoding.EncodedLen(len(part)) > cap(text) {
				if _, err := w.Write(text); err != nil {
					return
				}
				text = text[:0]
			}
			text = base64.RawURLEncoding.AppendEncode(text, part)
		}
		text = append(text, messageEnds...)
	}
	_, _ = w.Write(append(text, t.tail...))
}
