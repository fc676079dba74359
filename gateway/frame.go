package gateway

import (
	"encoding/json"
	"time"

	"github.com/coder/websocket"

	"github.com/quicproquo/node/nodeservice"
)

// codec renders frames. All codecs spell the same members of the same frames.
type codec struct {
	subprotocol string
	kind        websocket.MessageType
	encode      func(frame any) ([]byte, error)
	decode      func(data []byte) (clientFrame, error)
}

// codecs are the subprotocols that a stream may speak, best first.
var codecs = []codec{
	{"qpq.v1.json", websocket.MessageText, json.Marshal, decodeFrame},
}

// The frames of the server. Clients ignore types and members that they do not
// know; the optional ones are said to be so.
type (
	// helloFrame comes first.
	helloFrame struct {
		Type       string    `json:"type"`
		Identity   string    `json:"identity"`
		ServerTime timestamp `json:"server_time"`
		PingMS     int64     `json:"ping_ms"` // how often the server pings
		Window     window    `json:"window"`
	}
	window struct {
		Messages int `json:"messages"`
		Bytes    int `json:"bytes"`
	}
	messageFrame struct {
		Type string `json:"type"`
		message
	}
	channelFrame struct {
		Type      string          `json:"type"`
		ChannelID string          `json:"channel_id"`
		Peer      string          `json:"peer"`
		CreatedAt timestamp       `json:"created_at"`
		Head      nodeservice.Seq `json:"head"`
	}
	gapFrame struct {
		Type      string `json:"type"`
		ChannelID string `json:"channel_id"`
		gap
	}
	ackedFrame struct {
		Type      string          `json:"type"`
		ChannelID string          `json:"channel_id"`
		Through   nodeservice.Seq `json:"through"`
	}
	lowFrame struct {
		Type      string                  `json:"type"`
		Suite     nodeservice.CipherSuite `json:"suite"`
		Remaining uint32                  `json:"remaining"`
	}
	expiringFrame struct {
		Type      string    `json:"type"`
		ExpiresAt timestamp `json:"expires_at"`
	}
	drainingFrame struct {
		Type         string `json:"type"`
		RetryAfterMS int64  `json:"retry_after_ms"`
	}
	errorFrame struct {
		Type   string           `json:"type"`
		Code   nodeservice.Code `json:"code"`
		Detail string           `json:"detail"`
	}
	// bareFrame is caught_up or ping.
	bareFrame struct {
		Type string `json:"type"`
	}
)

func helloOf(id nodeservice.Identity, now time.Time) helloFrame {
	w := window{nodeservice.DefaultWindow.Messages, nodeservice.DefaultWindow.Bytes}
	return helloFrame{"hello", id.String(), timestamp(nodeservice.Milli(now)), pingEvery.Milliseconds(), w}
}

func ackedOf(id nodeservice.ChannelID, through nodeservice.Seq) ackedFrame {
	return ackedFrame{"acked", id.String(), through}
}

func drainingOf(retry time.Duration) drainingFrame {
	return drainingFrame{"draining", retry.Milliseconds()}
}

func errorOf(err error) errorFrame {
	e := nodeservice.AsError(err)
	return errorFrame{"error", e.Code, e.Detail}
}

// frameOf is the frame of an event; nil for one that this version cannot tell.
func frameOf(event nodeservice.Event) any {
	switch e := event.(type) {
	case nodeservice.MessageEvent:
		return messageFrame{"message", messageOf(e.Channel, e.Message)}
	case nodeservice.ChannelEvent:
		c := e.Channel
		return channelFrame{"channel", c.ID.String(), c.Peer.String(), timestamp(c.CreatedAt), c.Head}
	case nodeservice.GapEvent:
		return gapFrame{"gap", e.Channel.String(), gapOf(e.Gap)}
	case nodeservice.CaughtUpEvent:
		return bareFrame{"caught_up"}
	case nodeservice.AckedEvent:
		return ackedOf(e.Channel, e.Through)
	case nodeservice.KeyPackagesLowEvent:
		return lowFrame{"key_packages_low", e.Stock.CipherSuite, e.Stock.OneTime}
	case nodeservice.TokenExpiringEvent:
		return expiringFrame{"token_expiring", timestamp(e.ExpiresAt)}
	case nodeservice.DrainingEvent:
		return drainingOf(e.RetryAfter)
	}
	return nil
}

// clientFrame is one of the frames of clients.
type clientFrame interface{ clientFrame() }

type (
	ackFrame struct {
		Channel nodeservice.ChannelID
		Through nodeservice.Seq
	}
	authFrame struct{ Token string }
	pongFrame struct{}
)

func (ackFrame) clientFrame()  {}
func (authFrame) clientFrame() {}
func (pongFrame) clientFrame() {}

// decodeFrame reads a frame of a client, as strictly as a request's body.
func decodeFrame(data []byte) (clientFrame, error) {
	values, err := parseObject(data)
	if err != nil {
		return nil, err
	}
	var kind string
	if value, ok := values["type"]; ok {
		err = textField(&kind)(value)
	}
	if kind == "" || err != nil {
		return nil, invalidf(`a frame has a "type" that is a string`)
	}
	delete(values, "type")
	switch kind {
	case "ack":
		var f ackFrame
		err := setFields(values, []field{must("channel_id", channelField(&f.Channel)), must("through", seqField(&f.Through))})
		return f, err
	case "auth":
		var f authFrame
		err := setFields(values, []field{must("token", textField(&f.Token))})
		return f, err
	case "pong":
		return pongFrame{}, setFields(values, nil)
	}
	return nil, invalidf("no frame of a client has the type %q", shorten(kind))
}

// channelField reads a channel id. The nil UUID names no channel, and so none of
// the client's: the frame is well formed, and its effect is refused.
func channelField(to *nodeservice.ChannelID) func(json.RawMessage) error {
	return func(value json.RawMessage) (err error) {
		var text string
		if err := textField(&text)(value); err != nil {
			return err
		}
		*to, err = parseChannel(text)
		if nodeservice.CodeOf(err) == nodeservice.CodeChannelNotFound {
			return nil
		}
		return err
	}
}
