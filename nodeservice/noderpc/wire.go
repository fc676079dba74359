package noderpc

import (
	"bufio"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"capnproto.org/go/capnp/v3"
	"capnproto.org/go/capnp/v3/rpc/transport"
	rpccp "capnproto.org/go/capnp/v3/std/capnp/rpc"
)

const (
	// messageCost is charged for every message besides its bytes: the runtime's own
	// records of a call, and the first segment of a new message.
	messageCost = 1 << 10
	segmentCost = 64 // likewise, for each segment of one that was received
)

// wire is the Transport of one connection: framing with bounds, gathered
// writes, and on the server's side the guard.
type wire struct {
	conn      net.Conn
	in        *bufio.Reader // owned by the runtime's reading goroutine
	out       *gatherer
	meter     *meter
	guard     *guard // nil on the client's side, which trusts its server
	timeouts  timeouts
	maxFrame  int
	greeted   bool // owned by the runtime's reading goroutine: a whole message has come
	parted    bool // owned by it, too: ended has been called
	closeOnce sync.Once
	closed    chan struct{}
	broken    atomic.Bool // reading has ended: no call will be answered any more
	severed   atomic.Bool // cut was called: what has arrived and is not read yet is not read any more
	releasing sync.Mutex  // held while capabilities of the peer are released
}

// timeouts of a connection.
type timeouts struct {
	first time.Duration // from accepting to the first whole message, and for every message of a stranger
	body  time.Duration // from a message's size to its end
	write time.Duration // for a chunk of at most 256 KiB
	end   time.Duration // for what waits when the connection is closed
}

func newWire(conn net.Conn, maxFrame int, m *meter, t timeouts) *wire {
	return &wire{
		conn:     conn,
		in:       bufio.NewReaderSize(conn, readBuffer),
		out:      newGatherer(conn, t.write),
		meter:    m,
		timeouts: t,
		maxFrame: maxFrame,
		closed:   make(chan struct{}),
	}
}

// RecvMessage implements transport.Transport.
func (w *wire) RecvMessage() (transport.IncomingMessage, error) {
	in, err := w.receive()
	if err != nil {
		w.ended(err == io.EOF && announced(w.conn))
		w.broken.Store(true)
		return nil, err
	}
	if in.msg.Which() == rpccp.Message_Which_abort {
		w.farewell()
	}
	return in, nil
}

func (w *wire) receive() (*incoming, error) {
	if w.severed.Load() {
		return nil, errConnectionFull
	}
	frame, charged, err := w.readFrame()
	if err != nil {
		w.meter.give(charged)
		return nil, err
	}
	in := &incoming{wire: w, charged: charged}
	msg, err := capnp.Unmarshal(frame)
	if err != nil {
		in.Release()
		return nil, err
	}
	in.raw = msg
	if in.msg, err = rpccp.ReadRootMessage(msg); err != nil {
		in.Release()
		return nil, err
	}
	if w.guard != nil {
		if err := w.guard.receive(in.msg); err != nil {
			in.Release()
			return nil, err
		}
	}
	return in, nil
}

// readFrame reads a message and says what the meter was charged for it.
func (w *wire) readFrame() (frame []byte, charged int, err error) {
	if !w.greeted && w.timeouts.first > 0 {
		if err := w.conn.SetReadDeadline(time.Now().Add(w.timeouts.first)); err != nil {
			return nil, 0, err
		}
	}
	segments, size, err := frameSize(w.in, w.maxFrame)
	if err != nil {
		return nil, 0, err
	}
	records := messageCost + segments*segmentCost
	if err := w.meter.take(records); err != nil {
		return nil, 0, err
	}
	charged = records
	timed := !w.greeted
	if w.greeted && size > w.in.Buffered() {
		timed = true
		if err := w.conn.SetReadDeadline(time.Now().Add(w.bodyTimeout())); err != nil {
			return nil, charged, err
		}
	}
	frame, err = readBody(w.in, size, func(bytes int) error {
		if err := w.meter.take(bytes); err != nil {
			return err
		}
		charged += bytes
		return nil
	})
	if err != nil {
		return nil, charged, err
	}
	w.greeted = true
	if timed {
		err = w.conn.SetReadDeadline(time.Time{})
	}
	return frame, charged, err
}

// bodyTimeout gives strangers no longer than their first message had.
func (w *wire) bodyTimeout() time.Duration {
	if w.meter.stranger() {
		return w.timeouts.first
	}
	return w.timeouts.body
}

// NewMessage implements transport.Transport. It does not fail when there is no room: the
// runtime would go on as if it had the message, and panic. The connection ends instead.
func (w *wire) NewMessage() (transport.OutgoingMessage, error) {
	arena := &meteredArena{Arena: capnp.MultiSegment(nil), meter: w.meter}
	if err := w.meter.take(messageCost); err != nil {
		w.cut()
	} else {
		arena.charged.Store(messageCost)
	}
	_, segment, err := capnp.NewMessage(arena)
	if err != nil {
		arena.Release()
		return nil, err
	}
	msg, err := rpccp.NewRootMessage(segment)
	if err != nil {
		arena.Release()
		return nil, err
	}
	return &outgoing{wire: w, msg: msg, arena: arena}, nil
}

// cut ends the connection at once; the runtime notices by reading.
func (w *wire) cut() {
	w.severed.Store(true)
	_ = w.conn.Close()
}

// Close implements transport.Transport: what is sent goes out first.
func (w *wire) Close() error {
	w.closeOnce.Do(func() {
		w.broken.Store(true)
		close(w.closed)
		w.out.end(w.timeouts.end)
		w.meter.leaveStrangers()
	})
	return nil
}

// outgoing is a message of ours.
type outgoing struct {
	wire     *wire
	msg      rpccp.Message
	arena    *meteredArena
	released atomic.Bool
}

func (o *outgoing) Message() rpccp.Message { return o.msg }

// Send implements transport.OutgoingMessage. On the server's side it does not fail:
// what cannot be sent ends the connection, and the runtime need not take anything back.
func (o *outgoing) Send() error {
	if o.released.Load() {
		panic("noderpc: Send after Release")
	}
	err := o.send()
	if err != nil && o.wire.guard != nil {
		o.wire.cut() // and what the message carried is given back
		return nil
	}
	return err
}

func (o *outgoing) send() error {
	raw := o.msg.Message()
	if err := o.arena.settle(raw); err != nil {
		return err
	}
	guard := o.wire.guard
	if guard == nil {
		return o.wire.out.send(raw, nil)
	}
	if err := guard.own.ask(o.msg); err != nil {
		return err
	}
	var end *atomic.Int64
	if q := guard.sending(o.msg, o.arena.fetch); q != nil {
		end = &q.end
	}
	return o.wire.out.send(raw, end)
}

func (o *outgoing) Release() {
	if !o.released.Swap(true) {
		o.msg.Message().Release()
	}
}

// incoming is a message of the peer.
type incoming struct {
	msg      rpccp.Message
	raw      *capnp.Message
	wire     *wire
	charged  int
	released atomic.Bool
}

func (i *incoming) Message() rpccp.Message { return i.msg }

// Release implements transport.IncomingMessage. Capabilities are released for one message
// at a time: the runtime panics when a peer names one anew while two goroutines release
// it, one for an earlier message and one for the new one.
func (i *incoming) Release() {
	if i.released.Swap(true) {
		return
	}
	if i.raw != nil {
		if i.raw.CapTable().Len() > 0 {
			i.wire.releasing.Lock()
			defer i.wire.releasing.Unlock()
		}
		i.raw.Release()
	}
	i.wire.meter.give(i.charged)
}

// meteredArena is the memory of one of our messages. What it holds is charged
// when a handler has filled it and again when it is sent, until it is released:
// for results that is when the peer has finished with the call.
type meteredArena struct {
	capnp.Arena
	meter   *meter
	charged atomic.Int64
	fetch   *fetching // the fetch whose page the message carries; nil: it carries none. Owned by its handler, then by Send
}

// settle charges what the message has grown by since it was last charged.
func (a *meteredArena) settle(msg *capnp.Message) error {
	size, err := msg.TotalSize()
	if err != nil {
		return err
	}
	grown := int64(size) + messageCost - a.charged.Load()
	if grown <= 0 {
		return nil
	}
	if err := a.meter.take(int(grown)); err != nil {
		return err
	}
	a.charged.Add(grown)
	return nil
}

// Release implements capnp.Arena.
func (a *meteredArena) Release() {
	if a.fetch != nil {
		a.fetch.end()
	}
	a.Arena.Release()
	a.meter.give(int(a.charged.Swap(0)))
}
