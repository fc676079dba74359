package pebblestore

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	ns "github.com/quicproquo/node/nodeservice"
)

// The kinds of key packages, in keys.
const (
	oneTime    byte = 1
	lastResort byte = 2
)

func kindOf(isLastResort bool) byte {
	if isLastResort {
		return lastResort
	}
	return oneTime
}

// packageRef is an entry of the index of what an owner holds: its key is in the
// order in which one-time packages are claimed, and it has no value.
type packageRef struct {
	kind      byte
	suite     ns.CipherSuite
	expiresAt ns.UnixMilli
	ref       [32]byte
}

func (p packageRef) key(owner []byte) []byte {
	return key(keyPackages, owner, []byte{p.kind}, suiteField(p.suite), timeField(p.expiresAt), p.ref[:])
}

func decodePackageRef(fields []byte) (p packageRef, err error) {
	if len(fields) != 1+2+8+32 {
		return packageRef{}, fmt.Errorf("key package index: %w", errCorrupt)
	}
	p.kind = fields[0]
	p.suite = ns.CipherSuite(binary.BigEndian.Uint16(fields[1:]))
	p.expiresAt, _ = timeOf(fields[3:])
	p.ref = [32]byte(fields[11:])
	return p, nil
}

// held visits an owner's packages of a kind, of one suite, that expire at from or
// later, the soonest first, until visit says stop.
func heldPackages(r pebble.Reader, owner []byte, kind byte, suite ns.CipherSuite, from ns.UnixMilli, visit func(packageRef) (stop bool)) error {
	shelf := key(keyPackages, owner, []byte{kind}, suiteField(suite))
	skip := 1 + len(owner)
	return scan(r, append(shelf[:len(shelf):len(shelf)], timeField(from)...), after(shelf), func(k, _ []byte) (bool, error) {
		p, err := decodePackageRef(k[skip:])
		return err == nil && visit(p), err
	})
}

// allPackages lists everything an owner holds, expired or not.
func allPackages(r pebble.Reader, owner []byte) (all []packageRef, err error) {
	shelves := key(keyPackages, owner)
	err = scan(r, shelves, after(shelves), func(k, _ []byte) (bool, error) {
		p, err := decodePackageRef(k[len(shelves):])
		all = append(all, p)
		return false, err
	})
	return all, err
}

func encodePackage(p ns.StoredKeyPackage, kind byte) []byte {
	e := encoder{b: make([]byte, 0, 64+len(p.Data))}
	e.fixed([]byte{kind})
	e.uint(uint64(p.CipherSuite))
	e.fixed(p.Fingerprint[:])
	e.time(p.ExpiresAt)
	e.time(p.NotAfter)
	e.bytes(p.Data)
	return e.b
}

// readPackage reads a key package; its Data is the caller's.
func readPackage(r pebble.Reader, owner []byte, ref [32]byte) (p ns.StoredKeyPackage, kind byte, found bool, err error) {
	b, found, err := get(r, key(keyPackage, owner, ref[:]))
	if err != nil || !found {
		return p, 0, false, err
	}
	d := decoder{b: b}
	var k [1]byte
	d.fixed(k[:])
	p.Ref = ref
	p.CipherSuite = ns.CipherSuite(d.uint())
	d.fixed(p.Fingerprint[:])
	p.ExpiresAt = d.time()
	p.NotAfter = d.time()
	p.Data = d.bytes()
	if err := d.done(); err != nil {
		return p, 0, false, fmt.Errorf("key package: %w", err)
	}
	return p, k[0], true, nil
}

// stock is what is known of an owner's suites beyond the packages themselves,
// ascending by suite.
type stock []suiteStock

type suiteStock struct {
	suite ns.CipherSuite
	uses  uint32 // of the present last-resort package
}

func readStock(r pebble.Reader, owner []byte) (s stock, err error) {
	b, found, err := get(r, key(keyStock, owner))
	if err != nil || !found {
		return nil, err
	}
	d := decoder{b: b}
	for len(d.b) > 0 {
		s = append(s, suiteStock{ns.CipherSuite(d.uint()), uint32(d.uint())})
	}
	if err := d.done(); err != nil {
		return nil, fmt.Errorf("key package stock: %w", err)
	}
	return s, nil
}

func (s stock) encode() []byte {
	var e encoder
	for _, x := range s {
		e.uint(uint64(x.suite))
		e.uint(uint64(x.uses))
	}
	return e.b
}

// of is the entry of a suite, which it makes if there is none.
func (s *stock) of(suite ns.CipherSuite) *suiteStock {
	at := 0
	for at < len(*s) && (*s)[at].suite < suite {
		at++
	}
	if at == len(*s) || (*s)[at].suite != suite {
		*s = append(*s, suiteStock{})
		copy((*s)[at+1:], (*s)[at:])
		(*s)[at] = suiteStock{suite: suite}
	}
	return &(*s)[at]
}

func (s stock) suites() []ns.CipherSuite {
	suites := make([]ns.CipherSuite, len(s))
	for i, x := range s {
		suites[i] = x.suite
	}
	return suites
}

// KeyPackageStock implements nodeservice.Store.
func (s *Store) KeyPackageStock(ctx context.Context, owner ns.Identity, now ns.UnixMilli) (list []ns.KeyPackageStock, err error) {
	err = s.read(ctx, func(r pebble.Reader) error {
		id := identityField(owner)
		known, err := readStock(r, id)
		if err != nil {
			return err
		}
		for _, x := range known {
			one := ns.KeyPackageStock{CipherSuite: x.suite}
			err := heldPackages(r, id, oneTime, x.suite, now+1, func(p packageRef) bool {
				if one.OneTime++; one.OneTime == 1 {
					one.SoonestExpiry = p.expiresAt
				}
				return false
			})
			if err != nil {
				return err
			}
			err = heldPackages(r, id, lastResort, x.suite, now+1, func(packageRef) bool {
				one.LastResort, one.LastResortUses = true, x.uses
				return true
			})
			if err != nil {
				return err
			}
			list = append(list, one)
		}
		return nil
	})
	return list, err
}
