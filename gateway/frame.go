package gateway

import (
	"encoding/json"
	"time"

	"github.com/coder/websocket"

	"github.com/quicproquo/node/nodeservice"
)

// codec renders frames. All codecs spell the same members of the same frames:
// the struct tags below, and decodeFrame, are the one place with their names.
type codec struct {
	subprotocol string
	kind        websocket.MessageType
	encode      func(frame any) ([]byte, error)
	notation    notation // of the frames of clients
}

// frames names the kind of WebSocket frames that carry the codec's.
func (c codec) frames() string {
	if c.kind == websocket.MessageText {
		return "text frames"
	}
	return "binary frames"
}

// codecs are the subprotocols that a stream may speak.
var codecs = []codec{
	{"qpq.v1.json", websocket.MessageText, json.Marshal, jsonNotation},
	{"qpq.v1.cbor", websocket.MessageBinary, cborEncoding.Marshal, cborNotation},
}

// serverFrame is one of the frames of the server.
type serverFrame interface{ kind() string }

// The frames of the server. Clients ignore types and members that they do not
// know; the optional ones are said to be so.
type (
	// bareFrame is what all frames have, and all that caught_up and ping have.
	bareFrame struct {
		Type string `json:"type"`
	}
	// helloFrame comes first.
	helloFrame struct {
		bareFrame
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
		bareFrame
		message
	}
	channelFrame struct {
		bareFrame
		ChannelID string          `json:"channel_id"`
		Peer      string          `json:"peer"`
		CreatedAt timestamp       `json:"created_at"`
		Head      nodeservice.Seq `json:"head"`
	}
	gapFrame struct {
		bareFrame
		ChannelID string `json:"channel_id"`
		gap
	}
	ackedFrame struct {
		bareFrame
		ChannelID string          `json:"channel_id"`
		Through   nodeservice.Seq `json:"through"`
	}
	lowFrame struct {
		bareFrame
		Suite     nodeservice.CipherSuite `json:"suite"`
		Remaining uint32                  `json:"remaining"`
	}
	expiringFrame struct {
		bareFrame
		ExpiresAt timestamp `json:"expires_at"`
	}
	drainingFrame struct {
		bareFrame
		RetryAfterMS int64 `json:"retry_after_ms"`
	}
	errorFrame struct {
		bareFrame
		Code   nodeservice.Code `json:"code"`
		Detail string           `json:"detail"`
	}
)

func (f bareFrame) kind() string { return f.Type }

func helloOf(id nodeservice.Identity, now time.Time) helloFrame {
	w := window{nodeservice.DefaultWindow.Messages, nodeservice.DefaultWindow.Bytes}
	return helloFrame{bareFrame{"hello"}, id.String(), timestamp(nodeservice.Milli(now)), pingEvery.Milliseconds(), w}
}

func ackedOf(id nodeservice.ChannelID, through nodeservice.Seq) ackedFrame {
	return ackedFrame{bareFrame{"acked"}, id.String(), through}
}

func drainingOf(retry time.Duration) drainingFrame {
	return drainingFrame{bareFrame{"draining"}, retry.Milliseconds()}
}

func errorOf(err error) errorFrame {
	e := nodeservice.AsError(err)
	return errorFrame{bareFrame{"error"}, e.Code, e.Detail}
}

// frameOf is the frame of an event; nil for an event that this version has no frame for.
func frameOf(event nodeservice.Event) serverFrame {
	switch e := event.(type) {
	case nodeservice.MessageEvent:
		return messageFrame{bareFrame{"message"}, messageOf(e.Channel, e.Message)}
	case nodeservice.ChannelEvent:
		c := e.Channel
		return channelFrame{bareFrame{"channel"}, c.ID.String(), c.Peer.String(), timestamp(c.CreatedAt), c.Head}
	case nodeservice.GapEvent:
		return gapFrame{bareFrame{"gap"}, e.Channel.String(), gapOf(e.Gap)}
	case nodeservice.CaughtUpEvent:
		return bareFrame{"caught_up"}
	case nodeservice.AckedEvent:
		return ackedOf(e.Channel, e.Through)
	case nodeservice.KeyPackagesLowEvent:
		return lowFrame{bareFrame{"key_packages_low"}, e.Stock.CipherSuite, e.Stock.OneTime}
	case nodeservice.TokenExpiringEvent:
		return expiringFrame{bareFrame{"token_expiring"}, timestamp(e.ExpiresAt)}
	case nodeservice.DrainingEvent:
		return drainingOf(e.RetryAfter)
	}
	return nil
}
