package pebblestore

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	ns "github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
)

func (v *verifier) checkChannel(k, _ []byte) error {
	if len(k) != 1+len(ns.ChannelID{}) {
		return errCorrupt
	}
	c, _, err := readChannel(v.r, ns.ChannelID(k[1:]))
	if err != nil {
		return err
	}
	v.channels++
	if c.Members != ns.Pair(c.Members[0], c.Members[1]) || c.Members[0] == c.Members[1] {
		return errors.New("the channel's members are not a pair")
	}
	id, found, err := readPair(v.r, c.Members)
	if err == nil && (!found || id != c.ID) {
		err = errors.New("the pair of the channel's members leads elsewhere")
	}
	return err
}

func (v *verifier) checkPair(k, value []byte) error {
	if len(value) != len(ns.ChannelID{}) {
		return errCorrupt
	}
	c, found, err := readChannel(v.r, ns.ChannelID(value))
	if err == nil && (!found || string(pairKey(c.Members)) != string(k)) {
		err = errors.New("the pair names a channel that is not theirs")
	}
	return err
}

// cutIdentity takes an identity's field from the front of a key's fields.
func cutIdentity(fields []byte) (field, rest []byte, err error) {
	if len(fields) == 0 || len(fields) < 1+int(fields[0]) {
		return nil, nil, errCorrupt
	}
	size := 1 + int(fields[0])
	return fields[:size], fields[size:], nil
}

func (v *verifier) checkView(k, value []byte) error {
	viewer, rest, err := cutIdentity(k[1:])
	if err != nil || len(rest) != 8 || len(value) != len(ns.ChannelID{}) {
		return errCorrupt
	}
	ordinal := binary.BigEndian.Uint64(rest)
	who := identity.TrustedKey(string(viewer[1:]))
	ln, at, found, err := loadLine(v.r, ns.Queue{Channel: ns.ChannelID(value), Recipient: who})
	if err == nil && (!found || ln.sides[at].ordinal != ordinal) {
		err = errors.New("a member's list names a channel that has another place in it")
	}
	b, _, getErr := get(v.r, key(keyViewer, viewer))
	d := decoder{b: b}
	if last := d.uint(); getErr == nil && last < ordinal {
		getErr = errors.New("a place in a member's list could be given twice")
	}
	return errors.Join(err, getErr)
}

func (v *verifier) checkViewer(_, value []byte) error {
	d := decoder{b: value}
	d.uint()
	return d.done()
}

func (v *verifier) checkPackageIndex(k, _ []byte) error {
	owner, fields, err := cutIdentity(k[1:])
	if err != nil {
		return err
	}
	listed, err := decodePackageRef(fields)
	if err != nil {
		return err
	}
	p, kind, found, err := readPackage(v.r, owner, listed.ref)
	if err == nil && (!found || listed != packageRef{kind, p.CipherSuite, p.ExpiresAt, p.Ref}) {
		err = errors.New("the index names a key package that is not there")
	}
	return err
}

func (v *verifier) checkPackage(k, _ []byte) error {
	owner, ref, err := cutIdentity(k[1:])
	if err != nil || len(ref) != 32 {
		return errCorrupt
	}
	p, kind, _, err := readPackage(v.r, owner, [32]byte(ref))
	if err != nil {
		return err
	}
	if sha256.Sum256(p.Data) != p.Fingerprint {
		v.find("record %x: the key package is not what was stored", brief(k))
	}
	if found, err := v.has(packageRef{kind, p.CipherSuite, p.ExpiresAt, p.Ref}.key(owner)); err != nil || !found {
		return errors.Join(err, errors.New("the key package is not in the index: nobody could claim it"))
	}
	if known, err := readStock(v.r, owner); err != nil || !slices.Contains(known.suites(), p.CipherSuite) {
		return errors.Join(err, errors.New("the key package's suite is not among its owner's: only who asks for it would find it"))
	}
	// A spent package may be held again once its mark is over, and then it
	// expires later.
	b, spent, err := get(v.r, key(keySpent, owner, ref))
	if until, ok := timeOf(b); err == nil && spent && ok && kind == oneTime && until >= p.ExpiresAt {
		err = errors.New("the key package was handed out, and is held to be handed out again")
	}
	return errors.Join(err, v.checkEntry(p.ExpiresAt, sweepPackage, k[1:]))
}

// checkStock insists that at most one last-resort package is held of a suite.
func (v *verifier) checkStock(k, _ []byte) error {
	owner, rest, err := cutIdentity(k[1:])
	if err != nil || len(rest) > 0 {
		return errCorrupt
	}
	known, err := readStock(v.r, owner)
	if err != nil {
		return err
	}
	for _, suite := range known.suites() {
		held := 0
		err := heldPackages(v.r, owner, lastResort, suite, 0, func(packageRef) bool {
			held++
			return false
		})
		if err != nil {
			return err
		}
		if held > 1 {
			return fmt.Errorf("%d last-resort key packages of suite %d are held", held, suite)
		}
	}
	return nil
}

// checkUntil checks what records that just expire have in common.
func (v *verifier) checkUntil(k, value []byte) error {
	until, ok := timeOf(value)
	if !ok {
		return errCorrupt
	}
	return v.checkEntry(until, sweepRecord, k)
}

func (v *verifier) checkClaim(k, value []byte) error {
	if err := v.checkUntil(k, value); err != nil {
		return err
	}
	_, err := decodeClaim(value[8:])
	return err
}

func (v *verifier) checkRevocation(k, value []byte) error {
	_, err := decodeRevocation(value)
	return errors.Join(err, v.checkUntil(k, value))
}

// checkSweepEntry insists that the sweep, when it comes by, understands what it
// finds. That an entry comes too early is no fault.
func (v *verifier) checkSweepEntry(k, _ []byte) error {
	const kindAt = 1 + 8
	if len(k) <= kindAt+1 {
		return errCorrupt
	}
	rest := k[kindAt+1:]
	switch k[kindAt] {
	case sweepQueue, sweepIDs:
		size := len(queueKey{})
		if k[kindAt] == sweepIDs && rest[0] == legacyLine {
			size = len(lineKey{}) + len(ns.Account{})
		}
		if len(rest) != size {
			return errCorrupt
		}
		at := lineKey(rest)
		if _, found, err := readLine(v.r, at); err != nil || !found {
			return errors.Join(err, errors.New("the sweep index names a line that does not exist: the sweep would stop there"))
		}
		return nil
	case sweepPackage:
		_, ref, err := cutIdentity(rest)
		if err != nil || len(ref) != 32 {
			return errCorrupt
		}
		return nil
	case sweepRecord:
		return nil
	}
	return errCorrupt
}
