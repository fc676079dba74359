package gateway

import (
	"context"
	"time"

	"github.com/quicproquo/node/nodeservice"
)

// deliver writes the core's events, one at a time: a new one is taken only when
// the one before is on its way.
func (s *socket) deliver() {
	if !s.write(helloOf(s.session.Identity(), time.Now())) {
		return
	}
	for {
		event, err := s.source.Next(s.open)
		if err != nil {
			s.stop(endingOf(err))
			return
		}
		if frame := frameOf(event); frame != nil && !s.write(frame) {
			return
		}
	}
}

// read handles the client's frames. It must always be reading, or pongs and
// closes would not be seen.
func (s *socket) read() {
	for {
		kind, data, err := s.conn.Read(s.ctx)
		if err != nil {
			s.stop(ending{}) // the peer left, or the library has closed and told why
			return
		}
		if !s.sign() {
			return
		}
		if kind != s.codec.kind {
			s.stop(endingOf(invalidf("frames of the subprotocol %s must be %s", s.codec.subprotocol, s.codec.frames())))
			return
		}
		frame, err := s.codec.notation.decodeFrame(data)
		if err != nil {
			s.stop(endingOf(err))
			return
		}
		if reply := s.handle(frame); reply != nil && !s.reply(reply) {
			return
		}
	}
}

// handle does what a frame asks, and returns the frame that answers, or nil. An
// ack is answered even when it changed nothing and no event tells of it.
func (s *socket) handle(frame clientFrame) serverFrame {
	switch f := frame.(type) {
	case ackFrame:
		err := s.ack(f)
		if err == nil {
			return ackedOf(f.Channel, f.Through)
		}
		return errorOf(err)
	case authFrame:
		if _, err := s.session.Renew(s.ctx, f.Token); err != nil {
			return errorOf(err)
		}
	}
	return nil
}

func (s *socket) ack(f ackFrame) error {
	if f.Channel.IsZero() {
		return nodeservice.Errorf(nodeservice.CodeChannelNotFound, "there is no such channel, or you are not a member of it")
	}
	return s.source.Ack(s.ctx, f.Channel, f.Through)
}

// write sends a frame when it is its turn, and ends the stream if it cannot.
func (s *socket) write(frame serverFrame) bool {
	select {
	case s.writing <- struct{}{}:
	case <-s.open.Done():
		return false
	}
	return s.send(frame)
}

// reply has run write a frame.
func (s *socket) reply(frame serverFrame) bool {
	select {
	case s.replies <- frame:
		return true
	case <-s.open.Done():
		return false
	}
}

// tryWrite sends a frame, unless another has been under way for a second: then the line
// is full.
func (s *socket) tryWrite(frame serverFrame) {
	turn := time.NewTimer(time.Second)
	defer turn.Stop()
	select {
	case s.writing <- struct{}{}:
		s.send(frame)
	case <-turn.C:
	}
}

// send writes one frame within its deadline, and gives the right to write back.
func (s *socket) send(frame serverFrame) bool {
	defer func() { <-s.writing }()
	data, done, err := s.render(frame, s.codec.encode)
	defer done()
	if err != nil {
		s.stop(endingOf(err))
		return false
	}
	ctx, cancel := context.WithTimeout(s.ctx, transferTime(len(data)))
	defer cancel()
	if err := s.conn.Write(ctx, s.codec.kind, data); err != nil {
		s.stop(ending{}) // it reads too slowly, or not at all: the connection is gone
		return false
	}
	if len(data) >= largeFrame {
		s.alive() // no ping could pass meanwhile; the window bounds how often this is said
	}
	return true
}
