package redisstore

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"

	ns "github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
)

var (
	spendScript  = newScript(changes, "spend")
	revokeScript = newScript(changes, "revoke")
)

// Spend implements nodeservice.Store. If the answer to the first one is lost on
// its way, the engine asks again, and is told that it is not the first.
func (s *Store) Spend(ctx context.Context, kind string, digest [32]byte, until, now ns.UnixMilli) (first bool, err error) {
	if err := s.enter(); err != nil {
		return false, err
	}
	defer s.leave()
	if len(kind) > 255 {
		return false, internal(fmt.Errorf("redisstore: a kind of %d bytes", len(kind)))
	}
	mark := string([]byte{spentMark, byte(len(kind))}) + kind + string(digest[:])
	n, err := only(s.run(ctx, spendScript, []string{s.baseOf(mark) + string(keyIndex)}, mark, int64(until), int64(now)))
	return n == 1, err
}

// revocationKeys are in one bucket: all are read together.
func (s *Store) revocationKeys() []string {
	base := s.base(0)
	return []string{base + string(keyRevocations), base + string(keyRevokedTill)}
}

// Revoke implements nodeservice.Store.
func (s *Store) Revoke(ctx context.Context, r ns.Revocation) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	name := "i" + r.Identity.Raw()
	if r.Token != [32]byte{} {
		name = "t" + string(r.Token[:])
	}
	_, err := only(s.run(ctx, revokeScript, s.revocationKeys(), name, int64(r.Until), int64(r.IssuedBefore), encodeRevocation(r)))
	return err
}

// Revocations implements nodeservice.Store.
func (s *Store) Revocations(ctx context.Context, now ns.UnixMilli) (list []ns.Revocation, err error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	records, err := s.client.HVals(ctx, s.revocationKeys()[0]).Result()
	if err != nil {
		return nil, asStoreError(err)
	}
	for _, record := range records {
		one, err := decodeRevocation(record)
		if err != nil {
			return nil, asStoreError(err)
		}
		if one.Until > now {
			list = append(list, one)
		}
	}
	return list, nil
}

func encodeRevocation(r ns.Revocation) []byte {
	b := binary.BigEndian.AppendUint64(nil, math.Float64bits(float64(r.Until)))
	b = binary.BigEndian.AppendUint64(b, math.Float64bits(float64(r.IssuedBefore)))
	b = append(b, r.Token[:]...)
	return append(b, r.Identity.Raw()...)
}

func decodeRevocation(record string) (r ns.Revocation, err error) {
	const token, holder = 16, 16 + 32
	if len(record) < holder {
		return ns.Revocation{}, fmt.Errorf("%w: a revocation", errCorrupt)
	}
	r.Until, r.IssuedBefore = ns.UnixMilli(double(record)), ns.UnixMilli(double(record[8:]))
	copy(r.Token[:], record[token:])
	switch raw := record[holder:]; len(raw) {
	case 0:
	case shortKey, longKey:
		r.Identity = identity.TrustedKey(raw)
	default:
		return ns.Revocation{}, fmt.Errorf("%w: a revocation", errCorrupt)
	}
	return r, nil
}
