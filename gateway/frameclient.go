package gateway

import (
	"encoding/json"

	"github.com/quicproquo/node/nodeservice"
)

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

// notation is how an encoding spells what the frames of clients are made of. A
// member's value stays in its encoding until the field is known that it is for.
type notation struct {
	members func(data []byte) (map[string]json.RawMessage, error)
	text    func(to *string) func(value json.RawMessage) error
	seq     func(to *nodeservice.Seq) func(value json.RawMessage) error
}

var jsonNotation = notation{parseObject, textField, seqField}

// decodeFrame reads a frame of a client, as strictly as a request's body.
func (n notation) decodeFrame(data []byte) (clientFrame, error) {
	values, err := n.members(data)
	if err != nil {
		return nil, err
	}
	var kind string
	if value, ok := values["type"]; ok {
		err = n.text(&kind)(value)
	}
	if kind == "" || err != nil {
		return nil, invalidf(`a frame has a "type" that is a string`)
	}
	delete(values, "type")
	switch kind {
	case "ack":
		var f ackFrame
		err := setFields(values, []field{must("channel_id", n.channel(&f.Channel)), must("through", n.seq(&f.Through))})
		return f, err
	case "auth":
		var f authFrame
		err := setFields(values, []field{must("token", n.text(&f.Token))})
		return f, err
	case "pong":
		return pongFrame{}, setFields(values, nil)
	}
	return nil, invalidf("no frame of a client has the type %q", shorten(kind))
}

// channel reads a channel id. The nil UUID names no channel, and so none of the
// client's: the frame is well formed, and its effect is refused.
func (n notation) channel(to *nodeservice.ChannelID) func(json.RawMessage) error {
	return func(value json.RawMessage) (err error) {
		var text string
		if err := n.text(&text)(value); err != nil {
			return err
		}
		*to, err = parseChannel(text)
		if nodeservice.CodeOf(err) == nodeservice.CodeChannelNotFound {
			return nil
		}
		return err
	}
}
