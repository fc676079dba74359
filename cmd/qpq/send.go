package main

import (
	"context"
	"io"

	"github.com/quicproquo/node/nodeservice"
)

// maxStdin bounds what send reads: one byte more than any node takes, so that
// the node says what its limit is.
const maxStdin = 5<<20 + 1

// sendCommand stores a message for a peer.
type sendCommand struct {
	To      correspondent    `arg:"" name:"peer|channel" help:"An identity or a channel id."`
	Message *payloadArgument `arg:"" optional:"" help:"The payload, sent as it is, not encrypted. Default, and -: standard input."`

	IfHead *uint64 `placeholder:"N" help:"Send only if the channel's head is still N."`
	ID     string  `name:"id" placeholder:"ID" help:"Name of the message, 1 to 64 bytes: sent again with the same name it is stored once."`
}

// Run prints the receipt.
func (m *sendCommand) Run(ctx context.Context, a *app) error {
	payload, err := m.payload(a)
	if err != nil {
		return err
	}
	c, err := a.client(ctx)
	if err != nil {
		return err
	}
	id, receipt, err := m.send(ctx, c, payload)
	if err != nil {
		return err
	}
	text := "sent %d in %s"
	if receipt.Duplicate {
		text = "sent before: %d in %s"
	}
	return a.out().print(
		object{"channel_id": id.String(), "seq": receipt.Seq, "received_at": timeText(receipt.ReceivedAt), "duplicate": receipt.Duplicate},
		text, receipt.Seq, id)
}

func (m *sendCommand) payload(a *app) ([]byte, error) {
	if m.Message != nil && *m.Message != "-" {
		return []byte(*m.Message), nil
	}
	return io.ReadAll(io.LimitReader(a.stdin, maxStdin))
}

// send creates the channel if need be. A channel that the node does not know
// (any more) is no longer the peer's: the cache is wrong, and is mended.
func (m *sendCommand) send(ctx context.Context, c *client, payload []byte) (nodeservice.ChannelID, nodeservice.Receipt, error) {
	id, cached, err := c.created(ctx, m.To)
	if err != nil {
		return id, nodeservice.Receipt{}, err
	}
	receipt, err := m.enqueue(ctx, c, id, payload)
	if cached && nodeservice.CodeOf(err) == nodeservice.CodeChannelNotFound {
		if id, err = c.create(ctx, m.To.peer); err == nil {
			receipt, err = m.enqueue(ctx, c, id, payload)
		}
	}
	return id, receipt, err
}

func (m *sendCommand) enqueue(ctx context.Context, c *client, id nodeservice.ChannelID, payload []byte) (receipt nodeservice.Receipt, err error) {
	err = c.do(ctx, func(s nodeservice.Session) (err error) {
		// The callee owns what it is given, and do may call us twice.
		req := nodeservice.EnqueueRequest{Channel: id, Payload: append([]byte(nil), payload...)}
		if m.ID != "" {
			req.MessageID = []byte(m.ID)
		}
		if m.IfHead != nil {
			head := nodeservice.Seq(*m.IfHead)
			req.IfHead = &head
		}
		receipt, err = s.Enqueue(ctx, req)
		return err
	})
	return receipt, err
}

// ackCommand acknowledges.
type ackCommand struct {
	From    correspondent `arg:"" name:"peer|channel" help:"An identity or a channel id."`
	Through uint64        `arg:"" help:"The seq of a received message or the end of a gap."`
}

// Run prints what was acknowledged.
func (k *ackCommand) Run(ctx context.Context, a *app) error {
	c, err := a.client(ctx)
	if err != nil {
		return err
	}
	view, err := c.known(ctx, k.From)
	if err != nil {
		return err
	}
	through := nodeservice.Seq(k.Through)
	err = c.do(ctx, func(s nodeservice.Session) error {
		return s.Ack(ctx, nodeservice.AckRequest{Channel: view.ID, Through: through})
	})
	if err != nil {
		return err
	}
	return a.out().print(object{"channel_id": view.ID.String(), "through": through}, "acknowledged %s through %d", view.ID, through)
}
