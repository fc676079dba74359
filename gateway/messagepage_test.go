package gateway

import (
	"encoding/json"
	"net/http/httptest"
	"strconv"
	"testing"

	"github.com/quicproquo/node/nodeservice"
)

// A page is spelled as encoding/json would, whatever the sizes of its payloads, and
// its length is known before.
func TestAPageIsSpelledAsJSON(t *testing.T) {
	const step = 24 << 10
	for _, sizes := range [][]int{
		{}, {1}, {2}, {3}, {1, 1, 1}, {step - 1}, {step}, {step + 1}, {2*step - 1, 1}, {2 * step, 2}, {3*step + 1, step, 5, 2*step + 2},
	} {
		page := nodeservice.Page{Head: 1 << 53, Acked: 3, More: len(sizes) > 1}
		if len(sizes) > 2 {
			page.Gap, page.Floor = &nodeservice.Gap{From: 1, To: 2, Reason: nodeservice.GapExpired}, 2
		}
		id := nodeservice.ChannelID{1, 2, 3}
		want := struct {
			Messages []message       `json:"messages"`
			Head     nodeservice.Seq `json:"head"`
			Acked    nodeservice.Seq `json:"acked"`
			Floor    nodeservice.Seq `json:"floor"`
			Gap      *gap            `json:"gap"`
			More     bool            `json:"more"`
		}{[]message{}, page.Head, page.Acked, page.Floor, gapOrNull(page.Gap), page.More}
		for i, size := range sizes {
			m := nodeservice.Message{Seq: nodeservice.Seq(i + 1), ReceivedAt: nodeservice.UnixMilli(1767225600000 + i), Payload: make([]byte, size)}
			for j := range m.Payload {
				m.Payload[j] = byte(i + j*7)
			}
			page.Messages = append(page.Messages, m)
			want.Messages = append(want.Messages, messageOf(id, m))
		}
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		if err := writePage(w, id, page); err != nil {
			t.Fatal(err)
		}
		if got := w.Body.String(); got != string(text) || w.Header().Get("Content-Length") != strconv.Itoa(len(text)) {
			t.Errorf("payloads of %v: %d bytes of %s announced, want %d\n%.300s", sizes, len(got), w.Header().Get("Content-Length"), len(text), got)
		}
	}
}
