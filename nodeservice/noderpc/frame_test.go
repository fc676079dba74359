package noderpc

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"

	"capnproto.org/go/capnp/v3"

	"github.com/quicproquo/node/schema"
)

// readAll reads one message as a connection does, with so many bytes allowed.
func readAll(r io.Reader, limit int, grow func(int) error) ([]byte, error) {
	in := bufio.NewReaderSize(r, readBuffer)
	_, size, err := frameSize(in, limit)
	if err != nil {
		return nil, err
	}
	return readBody(in, size, grow)
}

func free(int) error { return nil }

func TestFramesRoundTrip(t *testing.T) {
	for _, size := range []int{0, 1, 100, 5000, firstRead, 3*firstRead + 1, 5 << 20} {
		msg, seg := capnp.NewMultiSegmentMessage(nil)
		m, err := schema.NewRootMessage(seg)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.SetPayload(bytes.Repeat([]byte{7}, size)); err != nil {
			t.Fatal(err)
		}
		frame, err := appendFrame(nil, msg)
		if err != nil {
			t.Fatal(err)
		}
		if plain, err := msg.Marshal(); err != nil || !bytes.Equal(plain, frame) {
			t.Fatalf("%d bytes: the library encodes differently (%v)", size, err)
		}
		charged := 0
		read, err := readAll(iotest.HalfReader(bytes.NewReader(frame)), len(frame), func(n int) error { charged += n; return nil })
		if err != nil || !bytes.Equal(read, frame) || charged != len(frame) {
			t.Fatalf("%d bytes: read %d, charged %d: %v", size, len(read), charged, err)
		}
		if _, err := readAll(bytes.NewReader(frame), len(frame)-1, free); !errors.Is(err, errTooLarge) {
			t.Fatalf("%d bytes, one too many: %v", size, err)
		}
	}
}

func TestBrokenFrames(t *testing.T) {
	for name, c := range map[string]struct {
		sent []byte
		want error
	}{
		"nothing":              {nil, io.EOF},
		"half a word":          {make([]byte, 4), io.ErrUnexpectedEOF},
		"half a table":         {[]byte{5, 0, 0, 0, 0, 0, 0, 0}, io.ErrUnexpectedEOF},
		"half a body":          {append([]byte{0, 0, 0, 0, 2, 0, 0, 0}, make([]byte, 15)...), io.ErrUnexpectedEOF},
		"a body of nothing":    {[]byte{0, 0, 0, 0, 2, 0, 0, 0}, io.ErrUnexpectedEOF},
		"too many segments":    {[]byte{0, 2, 0, 0, 0, 0, 0, 0}, errFrame},
		"2^32 segments":        {bytes.Repeat([]byte{255}, 8), errFrame},
		"a segment of 2^32":    {[]byte{0, 0, 0, 0, 255, 255, 255, 255}, errTooLarge},
		"a sum above the rest": {[]byte{1, 0, 0, 0, 255, 255, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0}, errTooLarge},
	} {
		if _, err := readAll(bytes.NewReader(c.sent), 1<<20, free); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestMemoryGrowsAsBytesArrive(t *testing.T) {
	const declared = 4 << 20
	sent := append([]byte{0, 0, 0, 0, 0, 0, 8, 0}, make([]byte, 100)...)
	if _, size, err := frameSize(bufio.NewReader(bytes.NewReader(sent)), 8<<20); err != nil || size != declared+8 {
		t.Fatalf("declared %d: %v", size, err)
	}
	taken := 0
	_, err := readAll(bytes.NewReader(sent), 8<<20, func(n int) error { taken += n; return nil })
	if !errors.Is(err, io.ErrUnexpectedEOF) || taken > firstRead {
		t.Fatalf("100 bytes of %d took %d: %v", declared, taken, err)
	}
}

func FuzzFrame(f *testing.F) {
	golden, err := filepath.Glob("../../schema/testdata/golden/*.bin")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range golden {
		frame, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(frame)
	}
	f.Add([]byte{1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0})
	f.Add(bytes.Repeat([]byte{255}, 16))
	f.Fuzz(func(t *testing.T, sent []byte) {
		const limit = 1 << 20
		taken := 0
		frame, err := readAll(bytes.NewReader(sent), limit, func(n int) error { taken += n; return nil })
		if taken > max(firstRead, 2*len(sent)) {
			t.Fatalf("%d bytes took %d", len(sent), taken)
		}
		if err != nil {
			return
		}
		if !bytes.Equal(frame, sent[:len(frame)]) || taken != len(frame) {
			t.Fatalf("read %d bytes that were not sent, or charged %d", len(frame), taken)
		}
		msg, err := capnp.Unmarshal(frame)
		if err != nil {
			return
		}
		again, err := appendFrame(nil, msg)
		if err != nil || !bytes.Equal(again, frame) && !padded(frame, again) {
			t.Fatalf("%x encodes as %x: %v", frame, again, err)
		}
	})
}

// padded says that the frames differ only in the padding of the segment table,
// which readers do not look at.
func padded(a, b []byte) bool {
	return len(a) == len(b) && a[0]%2 == 1 && bytes.Equal(a[:4], b[:4])
}
