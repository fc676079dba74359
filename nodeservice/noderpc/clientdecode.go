package noderpc

import (
	"errors"
	"fmt"
	"time"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/schema"
)

// Decoding of what a node answers.

func decodeChannel(in schema.Channel) (view nodeservice.ChannelView, err error) {
	view.CreatedAt = nodeservice.UnixMilli(in.CreatedAt())
	view.Head = nodeservice.Seq(in.Head())
	view.Unread = in.Unread()
	view.Acked = nodeservice.Seq(in.Acked())
	if view.Peer, err = someKey(in.PeerKey()); err != nil {
		return view, err
	}
	view.ID, err = someChannel(in.Id())
	return view, err
}

func someChannel(field []byte, err error) (nodeservice.ChannelID, error) {
	id, none, err := channelID(field, err)
	if err == nil && none {
		err = errors.New("a channel's id is missing")
	}
	return id, err
}

// decodeMessage leaves ExpiresAt zero: the schema does not carry it.
func decodeMessage(in schema.Message) (m nodeservice.Message, err error) {
	m.Seq = nodeservice.Seq(in.Seq())
	m.ReceivedAt = nodeservice.UnixMilli(in.ReceivedAt())
	m.Payload, err = data(in.Payload())
	return m, err
}

func decodePage(in schema.Page, err error) (page nodeservice.Page, _ error) {
	if err != nil {
		return page, err
	}
	page.Head = nodeservice.Seq(in.Head())
	page.Acked = nodeservice.Seq(in.Acked())
	page.Floor = nodeservice.Seq(in.Floor())
	page.More = in.More()
	if in.HasGap() {
		gap, err := decodeGap(in.Gap())
		if err != nil {
			return page, err
		}
		page.Gap = &gap
	}
	messages, err := in.Messages()
	if err != nil {
		return page, err
	}
	for i := range messages.Len() {
		m, err := decodeMessage(messages.At(i))
		if err != nil {
			return page, err
		}
		page.Messages = append(page.Messages, m)
	}
	return page, nil
}

// decodeGap reads a reason that only a newer node knows as 0.
func decodeGap(in schema.Gap, err error) (gap nodeservice.Gap, _ error) {
	if err != nil {
		return gap, err
	}
	gap.From, gap.To = nodeservice.Seq(in.From()), nodeservice.Seq(in.To())
	for reason, wire := range gapReasons {
		if wire == in.Reason() {
			gap.Reason = reason
		}
	}
	return gap, nil
}

func decodeStock(in schema.KeyPackageStock) nodeservice.KeyPackageStock {
	return nodeservice.KeyPackageStock{
		CipherSuite:    nodeservice.CipherSuite(in.Suite()),
		OneTime:        in.OneTime(),
		SoonestExpiry:  nodeservice.UnixMilli(in.SoonestExpiry()),
		LastResort:     in.LastResort(),
		LastResortUses: in.LastResortUses(),
	}
}

func decodeInfo(in schema.Info) (info nodeservice.Info, err error) {
	info.MinVersion, info.MaxVersion = in.MinVersion(), in.MaxVersion()
	info.ServerTime = nodeservice.UnixMilli(in.ServerTime())
	info.MaxPayload = int(in.MaxPayload())
	info.MaxFetch = int(in.MaxFetch())
	info.MaxFetchBytes = int(in.MaxFetchBytes())
	info.MaxWait = time.Duration(in.MaxWaitMs()) * time.Millisecond
	info.Legacy = in.Legacy()
	capabilities, err := in.Capabilities()
	if err != nil {
		return info, err
	}
	for i := range capabilities.Len() {
		name, err := capabilities.At(i)
		if err != nil {
			return info, err
		}
		info.Capabilities = append(info.Capabilities, name)
	}
	if info.Audience, err = in.Audience(); err != nil {
		return info, err
	}
	if info.Durability, err = in.Durability(); err != nil {
		return info, err
	}
	jwks, err := in.JwksBytes()
	info.JWKS, err = data(jwks, err)
	return info, err
}

// decodeEvent returns nil for events of a newer node.
func decodeEvent(in schema.Event) (nodeservice.Event, error) {
	switch in.Which() {
	case schema.Event_Which_caughtUp:
		return nodeservice.CaughtUpEvent{}, nil
	case schema.Event_Which_message_:
		return decodeMessageEvent(in.Message_())
	case schema.Event_Which_channel:
		channel, err := in.Channel()
		if err != nil {
			return nil, err
		}
		view, err := decodeChannel(channel)
		return nodeservice.ChannelEvent{Channel: view}, err
	case schema.Event_Which_gap:
		id, err := someChannel(in.Gap().ChannelId())
		if err != nil {
			return nil, err
		}
		gap, err := decodeGap(in.Gap().Gap())
		return nodeservice.GapEvent{Channel: id, Gap: gap}, err
	case schema.Event_Which_acked:
		id, err := someChannel(in.Acked().ChannelId())
		return nodeservice.AckedEvent{Channel: id, Through: nodeservice.Seq(in.Acked().Through())}, err
	case schema.Event_Which_keyPackagesLow:
		stock, err := in.KeyPackagesLow()
		if err != nil {
			return nil, err
		}
		return nodeservice.KeyPackagesLowEvent{Stock: decodeStock(stock)}, nil
	case schema.Event_Which_tokenExpiring:
		return nodeservice.TokenExpiringEvent{ExpiresAt: nodeservice.UnixMilli(in.TokenExpiring().ExpiresAt())}, nil
	case schema.Event_Which_draining:
		ms := min(in.Draining().RetryAfterMs(), uint64(maxRetryAfter.Milliseconds()))
		return nodeservice.DrainingEvent{RetryAfter: time.Duration(ms) * time.Millisecond}, nil
	}
	return nil, nil
}

func decodeMessageEvent(in schema.Event_message) (nodeservice.Event, error) {
	id, err := someChannel(in.ChannelId())
	if err != nil {
		return nil, err
	}
	m, err := in.Message_()
	if err != nil {
		return nil, fmt.Errorf("message of an event: %w", err)
	}
	message, err := decodeMessage(m)
	return nodeservice.MessageEvent{Channel: id, Message: message}, err
}
