package noderpc

import (
	"context"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/schema"
)

// CreateChannel and listChannels.

const channelsLane = "channels"

// created is the answer of CreateChannel.
type created struct {
	view nodeservice.ChannelView
	new  bool
}

// CreateChannel implements schema.NodeService_Server.
func (o *object) CreateChannel(ctx context.Context, call schema.NodeService_createChannel) error {
	args := call.Args()
	peer, err := someKey(args.PeerKey())
	r := o.request(call.Call, args).with(channelsLane, err)
	return answer(ctx, o, r, call.AllocResults,
		func(ctx context.Context, s nodeservice.Session) (created, error) {
			view, isNew, err := s.CreateChannel(ctx, peer)
			return created{view, isNew}, err
		},
		func(res schema.NodeService_createChannel_Results, c created) error {
			res.SetCreated(c.new)
			if err := res.SetChannelId(c.view.ID[:]); err != nil {
				return err
			}
			channel, err := res.NewChannel()
			if err != nil {
				return err
			}
			return encodeChannel(channel, c.view)
		})
}

// ListChannels implements schema.NodeService_Server.
func (o *object) ListChannels(ctx context.Context, call schema.NodeService_listChannels) error {
	args := call.Args()
	req, err := decodeListChannels(args)
	r := o.request(call.Call, args).with(channelsLane, err)
	one, all, err := channelID(args.ChannelId())
	r = r.with(channelsLane, err)
	return answer(ctx, o, r, call.AllocResults,
		func(ctx context.Context, s nodeservice.Session) (nodeservice.ChannelList, error) {
			if all {
				return s.Channels(ctx, req)
			}
			view, err := s.Channel(ctx, one)
			return nodeservice.ChannelList{Channels: []nodeservice.ChannelView{view}}, err
		},
		func(res schema.NodeService_listChannels_Results, list nodeservice.ChannelList) error {
			channels, err := res.NewChannels(int32(len(list.Channels)))
			if err != nil {
				return err
			}
			for i, view := range list.Channels {
				if err := encodeChannel(channels.At(i), view); err != nil {
					return err
				}
			}
			return res.SetNextCursor(list.Next)
		})
}

func decodeListChannels(
	args schema.NodeService_listChannels_Params,
) (req nodeservice.ChannelsRequest, err error) {
	req.Limit = atMost(args.Limit(), nodeservice.MaxChannelsPage)
	if req.Peer, err = key(args.PeerKey()); err != nil {
		return req, err
	}
	req.Cursor, err = data(args.Cursor())
	return req, err
}
