package noderpc

import (
	"capnproto.org/go/capnp/v3"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/schema"
)

// Encoding of the core's types into messages.

func encodeChannel(out schema.Channel, view nodeservice.ChannelView) error {
	out.SetCreatedAt(int64(view.CreatedAt))
	out.SetHead(uint64(view.Head))
	out.SetUnread(view.Unread)
	out.SetAcked(uint64(view.Acked))
	if err := out.SetPeerKey([]byte(view.Peer.Raw())); err != nil {
		return err
	}
	return out.SetId(view.ID[:])
}

func encodeMessage(out schema.Message, m nodeservice.Message) error {
	out.SetSeq(uint64(m.Seq))
	out.SetReceivedAt(int64(m.ReceivedAt))
	return out.SetPayload(m.Payload)
}

var gapReasons = map[nodeservice.GapReason]schema.Gap_Reason{
	nodeservice.GapExpired:  schema.Gap_Reason_expired,
	nodeservice.GapAcked:    schema.Gap_Reason_acked,
	nodeservice.GapRestored: schema.Gap_Reason_restored,
}

func encodeGap(out schema.Gap, gap nodeservice.Gap) {
	out.SetFrom(uint64(gap.From))
	out.SetTo(uint64(gap.To))
	out.SetReason(gapReasons[gap.Reason])
}

func encodePage(out schema.Page, page nodeservice.Page) error {
	out.SetHead(uint64(page.Head))
	out.SetAcked(uint64(page.Acked))
	out.SetFloor(uint64(page.Floor))
	out.SetMore(page.More)
	if page.Gap != nil {
		gap, err := out.NewGap()
		if err != nil {
			return err
		}
		encodeGap(gap, *page.Gap)
	}
	messages, err := out.NewMessages(int32(len(page.Messages)))
	if err != nil {
		return err
	}
	for i, m := range page.Messages {
		if err := encodeMessage(messages.At(i), m); err != nil {
			return err
		}
	}
	return nil
}

// encodePayloads is a page as clients of version 0 know it.
func encodePayloads(newList func(int32) (capnp.DataList, error), page nodeservice.Page) error {
	list, err := newList(int32(len(page.Messages)))
	if err != nil {
		return err
	}
	for i, m := range page.Messages {
		if err := list.Set(i, m.Payload); err != nil {
			return err
		}
	}
	return nil
}

func encodeStock(out schema.KeyPackageStock, stock nodeservice.KeyPackageStock) {
	out.SetSuite(uint16(stock.CipherSuite))
	out.SetOneTime(stock.OneTime)
	out.SetSoonestExpiry(int64(stock.SoonestExpiry))
	out.SetLastResort(stock.LastResort)
	out.SetLastResortUses(stock.LastResortUses)
}

func encodeInfo(out schema.Info, info nodeservice.Info) error {
	out.SetMinVersion(info.MinVersion)
	out.SetMaxVersion(info.MaxVersion)
	out.SetServerTime(int64(info.ServerTime))
	out.SetMaxPayload(uint64(info.MaxPayload))
	out.SetMaxFetch(uint32(info.MaxFetch))
	out.SetMaxFetchBytes(uint64(info.MaxFetchBytes))
	out.SetMaxWaitMs(uint64(info.MaxWait.Milliseconds()))
	out.SetLegacy(info.Legacy)
	capabilities, err := out.NewCapabilities(int32(len(info.Capabilities)))
	if err != nil {
		return err
	}
	for i, name := range info.Capabilities {
		if err := capabilities.Set(i, name); err != nil {
			return err
		}
	}
	if err := out.SetAudience(info.Audience); err != nil {
		return err
	}
	if err := out.SetDurability(info.Durability); err != nil {
		return err
	}
	return out.SetJwks(string(info.JWKS))
}

// encodeEvent fills the parameters of one call to an event sink.
func encodeEvent(out schema.Event, event nodeservice.Event) error {
	switch e := event.(type) {
	case nodeservice.MessageEvent:
		return encodeMessageEvent(out, e)
	case nodeservice.ChannelEvent:
		channel, err := out.NewChannel()
		if err != nil {
			return err
		}
		return encodeChannel(channel, e.Channel)
	case nodeservice.GapEvent:
		out.SetGap()
		gap, err := out.Gap().NewGap()
		if err != nil {
			return err
		}
		encodeGap(gap, e.Gap)
		return out.Gap().SetChannelId(e.Channel[:])
	case nodeservice.CaughtUpEvent:
		out.SetCaughtUp()
	case nodeservice.AckedEvent:
		out.SetAcked()
		out.Acked().SetThrough(uint64(e.Through))
		return out.Acked().SetChannelId(e.Channel[:])
	case nodeservice.KeyPackagesLowEvent:
		stock, err := out.NewKeyPackagesLow()
		if err != nil {
			return err
		}
		encodeStock(stock, e.Stock)
	case nodeservice.TokenExpiringEvent:
		out.SetTokenExpiring()
		out.TokenExpiring().SetExpiresAt(int64(e.ExpiresAt))
	case nodeservice.DrainingEvent:
		out.SetDraining()
		out.Draining().SetRetryAfterMs(uint64(max(0, ceilMilli(e.RetryAfter))))
	}
	return nil
}

func encodeMessageEvent(out schema.Event, e nodeservice.MessageEvent) error {
	out.SetMessage_()
	if err := out.Message_().SetChannelId(e.Channel[:]); err != nil {
		return err
	}
	message, err := out.Message_().NewMessage_()
	if err != nil {
		return err
	}
	return encodeMessage(message, e.Message)
}
