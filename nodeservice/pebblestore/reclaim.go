package pebblestore

import (
	"context"
)

const (
	// minReclaim is from where what was removed is worth its compaction, in
	// bytes: less stays until Pebble compacts for its own reasons.
	minReclaim = 32 << 20
	// reclaimShare is the share of the messages' tables that must have been
	// removed: so a byte that stays is rewritten a few times in its life at most.
	reclaimShare = 4
)

// reclaim gives the room of removed messages back to the disk, when there is
// much of it. Pebble alone would do so when later writes push the deletions down
// its levels, which on a quiet node is never. It goes in slices of the channels,
// so that Pebble's own compactions, which appends may wait for, come between.
// Payload files need nothing of this: they went when their messages did.
func (s *Store) reclaim(ctx context.Context) {
	freed := s.committer.tx.reclaimable.Load()
	if freed < minReclaim {
		return
	}
	all := []byte{keyMessage}
	held, err := s.db.EstimateDiskUsage(all, after(all))
	if err != nil || freed < held/reclaimShare {
		return
	}
	s.committer.tx.reclaimable.Add(-freed)
	for _, slice := range messageSlices() {
		if err := s.db.Compact(ctx, slice[0], slice[1], false); err != nil {
			if ctx.Err() == nil {
				s.log.Warn("the room of removed messages could not be reclaimed; later writes will do it", "error", err.Error())
			}
			return
		}
	}
	s.log.Info("reclaimed the room of removed messages", "bytes", freed)
}

// messageSlices divides the messages by the first half byte of their channel's
// id, which is random, and has one slice for the legacy queues.
func messageSlices() (slices [][2][]byte) {
	for b := 0; b < 256; b += 16 {
		slices = append(slices, [2][]byte{key(keyMessage, []byte{channelLine, byte(b)}), key(keyMessage, []byte{channelLine, byte(b + 15), 0xff})})
	}
	legacy := key(keyMessage, []byte{legacyLine})
	return append(slices, [2][]byte{legacy, after(legacy)})
}
