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

// pageText is a page of messages in JSON, except for the payloads, which are encoded
// while they are sent: encoding/json would make 40 MiB of copies of 8 MiB of payloads,
// and keep them for as long as a client takes to read the answer.
type pageText struct {
	messages []nodeservice.Message
	heads    [][]byte // the text of each message up to its payload
	tail     []byte   // the text of the page after its messages
	payloads int      // bytes of all payloads
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
	holdMore(w, t.payloads) // after giveTime, which would undo a cut
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(t.size))
	w.WriteHeader(http.StatusOK)
	t.write(w)
	return nil
}

// write stops when the peer cannot be written to any more; nobody can be told of that.
func (t pageText) write(w http.ResponseWriter) {
	const step = 24 << 10 // bytes of a payload; a multiple of 3, so that the base64 texts of the parts join
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
