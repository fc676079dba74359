package noderpc

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"capnproto.org/go/capnp/v3"
)

// Framing of the Cap'n Proto stream encoding: a table of segment sizes, then the
// segments. The library's decoder takes the declared size from memory before it
// reads; this one takes memory only as bytes arrive.

const (
	maxSegments   = 512      // as the library's own decoder
	firstRead     = 64 << 10 // bytes taken before the peer has sent any of a large body
	readBuffer    = 8 << 10  // of a connection; must hold the largest segment table
	wordBytes     = 8
	firstWord     = 8 // segment count and the first segment's size
	segmentsField = 4
)

var (
	errFrame    = errors.New("the stream is not a sequence of Cap'n Proto messages")
	errTooLarge = errors.New("the message is larger than this connection may send")
)

// frameSize reads the segment table ahead and returns its length, and the message's
// size with it. Nothing is consumed. io.EOF means that the stream ended between
// messages.
func frameSize(in *bufio.Reader, limit int) (segments, size int, err error) {
	first, err := in.Peek(firstWord)
	if err != nil {
		if err == io.EOF && len(first) > 0 {
			return 0, 0, io.ErrUnexpectedEOF
		}
		return 0, 0, err
	}
	count := uint64(binary.LittleEndian.Uint32(first)) + 1
	if count > maxSegments {
		return 0, 0, fmt.Errorf("%w: %d segments", errFrame, count)
	}
	tableSize := int(count+2) / 2 * wordBytes
	table, err := in.Peek(tableSize)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return 0, 0, err
	}
	total := uint64(tableSize) // 512 segments of 2^32 words stay far below 2^64
	for i := range count {
		total += uint64(binary.LittleEndian.Uint32(table[segmentsField*(i+1):])) * wordBytes
	}
	if total > uint64(limit) {
		return 0, 0, fmt.Errorf("%w: %d bytes, of %d", errTooLarge, total, limit)
	}
	return int(count), int(total), nil
}

// readBody reads size bytes into a buffer that grows as they arrive, at most to
// twice what has arrived. grow is told of every byte of memory before it is
// taken, and may refuse.
func readBody(in io.Reader, size int, grow func(bytes int) error) ([]byte, error) {
	var frame []byte
	for len(frame) < size {
		room := min(size, max(2*len(frame), firstRead))
		if err := grow(room - len(frame)); err != nil {
			return nil, err
		}
		larger := make([]byte, room)
		copy(larger, frame)
		if _, err := io.ReadFull(in, larger[len(frame):]); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
		frame = larger
	}
	return frame, nil
}

// appendFrame appends the message with its segment table.
func appendFrame(buf []byte, msg *capnp.Message) ([]byte, error) {
	segments := msg.NumSegments()
	buf = binary.LittleEndian.AppendUint32(buf, uint32(segments-1))
	for i := range segments {
		segment, err := msg.Segment(capnp.SegmentID(i))
		if err != nil {
			return buf, err
		}
		buf = binary.LittleEndian.AppendUint32(buf, uint32(len(segment.Data())/wordBytes))
	}
	if segments%2 == 0 {
		buf = append(buf, 0, 0, 0, 0)
	}
	for i := range segments {
		segment, err := msg.Segment(capnp.SegmentID(i))
		if err != nil {
			return buf, err
		}
		buf = append(buf, segment.Data()...)
	}
	return buf, nil
}
