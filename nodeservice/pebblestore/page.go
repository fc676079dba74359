package pebblestore

import (
	"bytes"
	"context"
	"errors"

	"github.com/cockroachdb/pebble/v2"

	ns "github.com/quicproquo/node/nodeservice"
)

// maxReadTries bounds how often a read starts over because an acknowledgement
// took a blob away under it. Each time, the queue has moved on.
const maxReadTries = 16

// Read implements nodeservice.Store. The page is one durable moment; large
// payloads are read after it, from files that an ack may remove meanwhile: then
// the moment is over, and the read starts anew. A file goes after its record, so
// one that is missing in two moments running is lost.
//
// A page ends before a message whose file is lost or damaged; a read that would
// begin with it is unavailable, as trouble with the disk is.
func (s *Store) Read(ctx context.Context, req ns.Read) (ns.QueuePage, error) {
	if err := s.enter(); err != nil {
		return ns.QueuePage{}, err
	}
	defer s.leave()
	var gone blobName // in the moment before
	for range maxReadTries {
		var page ns.QueuePage
		var refs map[int]message
		err := s.readView(ctx, func(r pebble.Reader) (err error) {
			page, refs, err = readPage(r, req)
			return err
		})
		if err != nil || len(refs) == 0 {
			return page, err
		}
		if err := s.blobs.startReading(ctx); err != nil {
			return ns.QueuePage{}, err
		}
		bad, err := s.loadBlobs(page.Messages, refs)
		s.blobs.doneReading()
		if err == nil {
			return page, nil
		}
		m := refs[bad]
		if errors.Is(err, errNoFile) && gone != m.blob.name {
			gone = m.blob.name
			continue
		}
		s.blobs.damage.found(m, s.blobs.path(m.blob.name), err)
		if bad == 0 {
			return ns.QueuePage{}, unavailable(err)
		}
		page.Messages, page.More = page.Messages[:bad], true
		return page, nil
	}
	return ns.QueuePage{}, unavailable(errNoFile)
}

// errNoFile says that a payload file is not there.
var errNoFile = errors.New("pebblestore: the file is not there")

// loadBlobs fills in the payloads of the messages in refs, by index. On an error
// those before index bad are whole.
func (s *Store) loadBlobs(messages []ns.Message, refs map[int]message) (bad int, err error) {
	for i := range messages {
		m, large := refs[i]
		if !large {
			continue
		}
		payload, missing, err := s.blobs.read(m.blob, m.size)
		if missing {
			err = errNoFile
		}
		if err != nil {
			return i, err
		}
		s.blobs.damage.over(m.blob.name)
		messages[i].Payload = payload
	}
	return 0, nil
}

// readPage reads a page, but for the payloads of the messages in refs.
func readPage(r pebble.Reader, req ns.Read) (page ns.QueuePage, refs map[int]message, err error) {
	ln, at, found, err := loadLine(r, req.Queue)
	if err != nil || !found {
		return ns.QueuePage{}, nil, err
	}
	expired, found, err := lastExpired(r, ln, at, req.Now)
	if err != nil {
		return ns.QueuePage{}, nil, err
	}
	s := ln.sides[at]
	if found {
		s.removed = expired.through
		s.expired(expired.seq)
	}
	page = ns.QueuePage{Head: ln.head, Acked: s.acked}
	page.Floor, page.FloorReason = s.shownFloor()
	if s.held().count == 0 || req.After >= ln.head {
		return page, nil, nil
	}
	it, err := newQueueIter(r, ln.key.queue(at), max(s.start(), req.After+1))
	if err != nil {
		return ns.QueuePage{}, nil, err
	}
	refs, err = it.fill(&page, req, s.held().count)
	if closeErr := it.Close(); err == nil {
		err = closeErr
	}
	return page, refs, err
}

// fill reads messages into a page until its limits are reached.
func (it queueIter) fill(page *ns.QueuePage, req ns.Read, held uint64) (refs map[int]message, err error) {
	page.Messages = make([]ns.Message, 0, min(uint64(max(req.Limit, 1)), held, ns.MaxFetch))
	size := 0
	m, ok, err := it.first()
	for ; ok && err == nil; m, ok, err = it.next() {
		size += m.size
		if n := len(page.Messages); n > 0 && (n >= req.Limit || size > req.MaxBytes) {
			page.More = true
			return refs, nil
		}
		if !m.blob.isZero() {
			if refs == nil {
				refs = make(map[int]message)
			}
			refs[len(page.Messages)] = m
		}
		page.Messages = append(page.Messages, ns.Message{
			Seq: m.seq, ReceivedAt: m.receivedAt, ExpiresAt: m.expiresAt, Payload: bytes.Clone(m.payload),
		})
	}
	return refs, err
}
