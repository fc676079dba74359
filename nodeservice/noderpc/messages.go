package noderpc

import (
	"context"

	"capnproto.org/go/capnp/v3"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/schema"
)

// Enqueue, fetch, fetchWait, ack.

// Enqueue implements schema.NodeService_Server.
func (o *object) Enqueue(ctx context.Context, call schema.NodeService_enqueue) error {
	args := call.Args()
	req, err := decodeEnqueue(args)
	r := o.request(call.Call, args).with(queueLane(req.Channel, req.Recipient), err)
	return answer(ctx, o, r, call.AllocResults,
		func(ctx context.Context, s nodeservice.Session) (nodeservice.Receipt, error) {
			return s.Enqueue(ctx, req)
		},
		func(res schema.NodeService_enqueue_Results, receipt nodeservice.Receipt) error {
			res.SetSeq(uint64(receipt.Seq))
			res.SetReceivedAt(int64(receipt.ReceivedAt))
			res.SetDuplicate(receipt.Duplicate)
			return nil
		})
}

func decodeEnqueue(args schema.NodeService_enqueue_Params) (req nodeservice.EnqueueRequest, err error) {
	if req.Channel, req.Legacy, err = channelID(args.ChannelId()); err != nil {
		return req, err
	}
	if req.Recipient, err = key(args.RecipientKey()); err != nil {
		return req, err
	}
	if req.MessageID, err = data(args.MessageId()); err != nil {
		return req, err
	}
	if req.IfHead, err = ifHead(args.IfHead()); err != nil {
		return req, err
	}
	req.Payload, err = data(args.Payload()) // once: each reading counts against the message's limit
	return req, err
}

// queueLane orders the calls on one queue.
func queueLane(channel nodeservice.ChannelID, recipient nodeservice.Identity) string {
	return "queue " + string(channel[:]) + recipient.Raw()
}

// fetchArgs are what fetch and fetchWait have in common.
type fetchArgs interface {
	params
	ChannelId() ([]byte, error)
	RecipientKey() ([]byte, error)
	After() uint64
	AckThrough() uint64
	Limit() uint32
	MaxBytes() uint64
	Keep() bool
}

// fetchResults likewise.
type fetchResults interface {
	results
	NewPage() (schema.Page, error)
	NewPayloads(int32) (capnp.DataList, error)
}

// Fetch implements schema.NodeService_Server.
func (o *object) Fetch(ctx context.Context, call schema.NodeService_fetch) error {
	args := call.Args()
	req, err := decodeFetch(args)
	r := o.request(call.Call, args).with(queueLane(req.Channel, req.Recipient), err)
	return fetch(ctx, o, r, call.AllocResults, req)
}

// FetchWait implements schema.NodeService_Server. It is in no lane: no other call waits
// for one that waits.
func (o *object) FetchWait(ctx context.Context, call schema.NodeService_fetchWait) error {
	args := call.Args()
	req, err := decodeFetch(args)
	req.Wait = millis(args.TimeoutMs())
	r := o.request(call.Call, args).with("", err)
	ctx, cancel := o.untilDraining(ctx)
	defer cancel()
	return fetch(ctx, o, r, call.AllocResults, req)
}

func fetch[R fetchResults](
	ctx context.Context, o *object, r request, alloc func() (R, error), req nodeservice.FetchRequest,
) error {
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	meter, reserved := o.conn.wire.meter, 0
	defer func() { meter.give(reserved) }()
	if req.Wait > 0 && r.err == nil {
		if r.err = meter.takeForWait(waitCost); r.err == nil {
			defer meter.give(waitCost)
		}
	}
	var mine *fetching // of a fetch that removes what it returns, until a message carries its page
	defer func() {
		if mine != nil {
			mine.lose()
		}
	}()
	req.Consumer = &o.conn.arrivals.consumer
	return answer(ctx, o, r, alloc,
		func(ctx context.Context, s nodeservice.Session) (page nodeservice.Page, err error) {
			if req.Drain {
				mine, err = o.conn.fetches.begin(ctx)
			}
			if err != nil {
				return page, err
			}
			page, err = s.Fetch(ctx, req)
			if err != nil {
				return page, err
			}
			if mine != nil {
				mine.page = page.Handout
			}
			size := pageSize(page)
			if err := meter.reserve(ctx, size); err != nil {
				return page, err
			}
			reserved = size
			return page, nil
		},
		func(res R, page nodeservice.Page) error {
			if mine != nil && mine.carriedBy(res.Message()) {
				mine = nil
			}
			if r.version == 0 {
				return encodePayloads(res.NewPayloads, page)
			}
			out, err := res.NewPage()
			if err != nil {
				return err
			}
			return encodePage(out, page)
		})
}

func pageSize(page nodeservice.Page) (bytes int) {
	for _, m := range page.Messages {
		bytes += len(m.Payload)
	}
	return bytes
}

func decodeFetch(args fetchArgs) (req nodeservice.FetchRequest, err error) {
	// Clients of version 0 cannot ask to keep; those of later ones know how to.
	req.Drain = args.Version() == 0 || !args.Keep()
	req.Limit = atMost(args.Limit(), nodeservice.MaxFetch)
	req.MaxBytes = atMost(args.MaxBytes(), nodeservice.MaxFetchBytes)
	if req.Channel, req.Legacy, err = channelID(args.ChannelId()); err != nil {
		return req, err
	}
	if req.Recipient, err = key(args.RecipientKey()); err != nil {
		return req, err
	}
	if req.After, err = seq("after", args.After()); err != nil {
		return req, err
	}
	req.AckThrough, err = seq("ackThrough", args.AckThrough())
	return req, err
}

// Ack implements schema.NodeService_Server.
func (o *object) Ack(ctx context.Context, call schema.NodeService_ack) error {
	args := call.Args()
	req, err := decodeAck(args)
	streamID := args.StreamId()
	r := o.request(call.Call, args).with(queueLane(req.Channel, nodeservice.Identity{}), err)
	return answer(ctx, o, r, call.AllocResults,
		asNothing(func(s nodeservice.Session, ctx context.Context) error {
			if streamID != 0 {
				return o.ackInStream(ctx, streamID, req)
			}
			return s.Ack(ctx, req)
		}),
		encodeNothing[schema.NodeService_ack_Results])
}

// ackInStream is for bound capabilities, whose streams all are of one identity.
func (o *object) ackInStream(ctx context.Context, id uint32, req nodeservice.AckRequest) error {
	stream, err := o.streams.find(id)
	if err != nil {
		return err
	}
	return stream.Ack(ctx, req.Channel, req.Through)
}

func decodeAck(args schema.NodeService_ack_Params) (req nodeservice.AckRequest, err error) {
	if req.Channel, req.Legacy, err = channelID(args.ChannelId()); err != nil {
		return req, err
	}
	req.Through, err = seq("through", args.Through())
	return req, err
}

// untilDraining ends ctx when the server begins to shut down.
func (o *object) untilDraining(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(o.conn.server.serving, cancel)
	return ctx, func() { stop(); cancel() }
}
