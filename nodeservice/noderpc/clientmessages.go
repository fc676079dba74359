package noderpc

import (
	"context"
	"math"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/schema"
)

// smallPayload is what every node takes; larger ones are compared with the
// node's own limit first, since it cuts connections that exceed it by much.
const smallPayload = headroom

// Enqueue implements nodeservice.Session.
func (s *clientSession) Enqueue(
	ctx context.Context, req nodeservice.EnqueueRequest,
) (nodeservice.Receipt, error) {
	if len(req.Payload) > smallPayload {
		limit, err := s.client.payloadLimit(ctx)
		if err != nil {
			return nodeservice.Receipt{}, err
		}
		if len(req.Payload) > limit {
			return nodeservice.Receipt{}, nodeservice.Errorf(nodeservice.CodePayloadTooLarge,
				"the payload has more than the %d bytes that are allowed", limit)
		}
	}
	return ask(ctx, s, schema.NodeService.Enqueue,
		func(p schema.NodeService_enqueue_Params) error { return placeEnqueue(p, req) },
		func(res schema.NodeService_enqueue_Results) (nodeservice.Receipt, error) {
			return nodeservice.Receipt{
				Seq:        nodeservice.Seq(res.Seq()),
				ReceivedAt: nodeservice.UnixMilli(res.ReceivedAt()),
				Duplicate:  res.Duplicate(),
			}, nil
		})
}

func placeEnqueue(p schema.NodeService_enqueue_Params, req nodeservice.EnqueueRequest) error {
	p.SetVersion(schema.Version)
	if err := setChannel(p, req.Channel, req.Legacy); err != nil {
		return err
	}
	if err := p.SetRecipientKey([]byte(req.Recipient.Raw())); err != nil {
		return err
	}
	if err := p.SetMessageId(req.MessageID); err != nil {
		return err
	}
	if req.IfHead != nil {
		condition, err := p.NewIfHead()
		if err != nil {
			return err
		}
		condition.SetIs(uint64(*req.IfHead))
	}
	return p.SetPayload(req.Payload)
}

// setChannel names a channel; with legacy it names none, which means the queue that
// version 0 had instead of channels.
func setChannel(
	p interface{ SetChannelId([]byte) error }, id nodeservice.ChannelID, legacy bool,
) error {
	if legacy {
		return nil
	}
	return p.SetChannelId(id[:])
}

// fetchParams are what the parameters of fetch and fetchWait have in common.
type fetchParams interface {
	SetVersion(uint16)
	SetChannelId([]byte) error
	SetRecipientKey([]byte) error
	SetAfter(uint64)
	SetAckThrough(uint64)
	SetLimit(uint32)
	SetMaxBytes(uint64)
	SetKeep(bool)
}

func placeFetch(p fetchParams, req nodeservice.FetchRequest) error {
	p.SetVersion(schema.Version)
	p.SetAfter(uint64(req.After))
	p.SetAckThrough(uint64(req.AckThrough))
	p.SetLimit(uint32(min(max(0, req.Limit), math.MaxUint32)))
	p.SetMaxBytes(uint64(max(0, req.MaxBytes)))
	p.SetKeep(!req.Drain)
	if err := setChannel(p, req.Channel, req.Legacy); err != nil {
		return err
	}
	return p.SetRecipientKey([]byte(req.Recipient.Raw()))
}

// Fetch implements nodeservice.Session. It sets keep, unless told to drain.
func (s *clientSession) Fetch(
	ctx context.Context, req nodeservice.FetchRequest,
) (nodeservice.Page, error) {
	if req.Wait <= 0 {
		return ask(ctx, s, schema.NodeService.Fetch,
			func(p schema.NodeService_fetch_Params) error { return placeFetch(p, req) },
			func(res schema.NodeService_fetch_Results) (nodeservice.Page, error) {
				return decodePage(res.Page())
			})
	}
	return ask(ctx, s, schema.NodeService.FetchWait,
		func(p schema.NodeService_fetchWait_Params) error {
			p.SetTimeoutMs(uint64(ceilMilli(req.Wait)))
			return placeFetch(p, req)
		},
		func(res schema.NodeService_fetchWait_Results) (nodeservice.Page, error) {
			return decodePage(res.Page())
		})
}

// Ack implements nodeservice.Session.
func (s *clientSession) Ack(ctx context.Context, req nodeservice.AckRequest) error {
	return s.ack(ctx, req, 0)
}

// ack acknowledges within the stream of that id; 0: in no stream.
func (s *clientSession) ack(ctx context.Context, req nodeservice.AckRequest, stream uint32) error {
	_, err := ask(ctx, s, schema.NodeService.Ack,
		func(p schema.NodeService_ack_Params) error {
			p.SetVersion(schema.Version)
			p.SetThrough(uint64(req.Through))
			p.SetStreamId(stream)
			return setChannel(p, req.Channel, req.Legacy)
		}, readNothing[schema.NodeService_ack_Results])
	return err
}
