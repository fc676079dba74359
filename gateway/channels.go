package gateway

import (
	"net/http"
	"strconv"

	"github.com/quicproquo/node/nodeservice"
)

// channel is a nodeservice.ChannelView in JSON.
type channel struct {
	ChannelID string          `json:"channel_id"`
	Peer      string          `json:"peer"`
	CreatedAt timestamp       `json:"created_at"`
	Head      nodeservice.Seq `json:"head"`
	Acked     nodeservice.Seq `json:"acked"`
	Unread    uint64          `json:"unread"`
}

func channelOf(v nodeservice.ChannelView) channel {
	return channel{v.ID.String(), v.Peer.String(), timestamp(v.CreatedAt), v.Head, v.Acked, v.Unread}
}

func (g *Gateway) createChannel(w http.ResponseWriter, r *http.Request, s nodeservice.Session) error {
	var peer nodeservice.Identity
	if err := g.readJSON(w, r, smallBody, must("peer", identityField(&peer))); err != nil {
		return err
	}
	view, created, err := s.CreateChannel(r.Context(), peer)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if created {
		status = http.StatusCreated
		w.Header().Set("Location", g.clientPath(r, "/v1/channels/"+view.ID.String()))
	}
	return writeJSON(w, status, struct {
		channel
		Created bool `json:"created"`
	}{channelOf(view), created})
}

func (g *Gateway) listChannels(w http.ResponseWriter, r *http.Request, s nodeservice.Session) error {
	req, err := channelsRequest(r)
	if err != nil {
		return err
	}
	page, err := s.Channels(r.Context(), req)
	if err != nil {
		return err
	}
	answer := struct {
		Channels   []channel `json:"channels"`
		NextCursor *octets   `json:"next_cursor"` // null on the last page
	}{Channels: make([]channel, len(page.Channels))}
	for i, view := range page.Channels {
		answer.Channels[i] = channelOf(view)
	}
	if page.Next != nil {
		answer.NextCursor = (*octets)(&page.Next)
		w.Header().Set("Link", g.nextPage(r, page.Next))
	}
	return writeJSON(w, http.StatusOK, answer)
}

// nextPage is the link to the page after this one (RFC 8288): the same request,
// with the cursor that goes on from here.
func (g *Gateway) nextPage(r *http.Request, cursor octets) string {
	values := r.URL.Query()
	values.Set("cursor", strictBase64.EncodeToString(cursor))
	return "<" + g.clientPath(r, r.URL.EscapedPath()) + "?" + values.Encode() + `>; rel="next"`
}

func channelsRequest(r *http.Request) (req nodeservice.ChannelsRequest, err error) {
	values, err := query(r, "peer", "cursor", "limit")
	if err != nil {
		return req, err
	}
	if req.Limit, err = limitParam(values, nodeservice.MaxChannelsPage); err != nil {
		return req, err
	}
	if values.Has("peer") {
		if req.Peer, err = parseIdentity(values.Get("peer")); err != nil {
			return req, err
		}
	}
	if values.Has("cursor") {
		if req.Cursor, err = decodeBytes([]byte(values.Get("cursor"))); err != nil || len(req.Cursor) == 0 {
			return req, invalidf("cursor: the next_cursor of an earlier page is expected")
		}
	}
	return req, nil
}

func (g *Gateway) getChannel(w http.ResponseWriter, r *http.Request, s nodeservice.Session) error {
	if _, err := query(r); err != nil {
		return err
	}
	id, err := pathChannel(r)
	if err != nil {
		return err
	}
	view, err := s.Channel(r.Context(), id)
	if err != nil {
		return err
	}
	w.Header().Set("ETag", entityTag(view.Head))
	return writeJSON(w, http.StatusOK, channelOf(view))
}

// entityTag is the ETag of a channel: it changes with every message, either way.
func entityTag(head nodeservice.Seq) string {
	return `"` + strconv.FormatUint(uint64(head), 10) + `"`
}
