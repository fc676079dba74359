package nodeservice

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"time"

	"github.com/quicproquo/node/nodeservice/mls"
)

// The fixed numbers of key packages.
const (
	claimHeadroom = 10 * time.Minute // a claimed one has at least this left
	claimMemory   = 10 * time.Minute // a claimId is remembered this long
	maxSuites     = 32               // named in one claim
	lowStock      = 25               // below this a suite's one-time stock is low
)

// UploadKeyPackages implements Session.
func (s *session) UploadKeyPackages(ctx context.Context, req UploadRequest) (prints []Fingerprint, err error) {
	err = s.do(ctx, opUpload, ChannelID{}, func(c *call) error {
		if !req.Owner.IsZero() && req.Owner != s.id {
			return Errorf(CodePermissionDenied, "identityKey is not your own; you upload only your own key packages")
		}
		packages, err := s.checkPackages(req, c.now)
		if err != nil {
			return err
		}
		if err := s.node.spare(ctx, c.now); err != nil {
			return err
		}
		if err := s.put(ctx, packages, req.LastResort, c.now); err != nil {
			return err
		}
		for _, p := range packages {
			prints = append(prints, p.Fingerprint)
		}
		c.record.count = len(packages)
		return nil
	})
	return prints, err
}

func (s *session) checkPackages(req UploadRequest, now UnixMilli) ([]StoredKeyPackage, error) {
	if n := len(req.Packages); n == 0 || n > MaxUpload {
		return nil, Errorf(CodeInvalidArgument, "an upload carries 1 to %d key packages, not %d", MaxUpload, n)
	}
	packages := make([]StoredKeyPackage, len(req.Packages))
	for i, data := range req.Packages {
		p, err := s.checkPackage(data, req, now)
		if err != nil {
			return nil, Errorf(CodeInvalidArgument, "key package %d: %s", i, strings.TrimPrefix(err.Error(), "key package: "))
		}
		packages[i] = p
	}
	return packages, nil
}

// checkPackage is PRODUCT section 2: parsed, signed by the caller, valid now.
// Its errors are safe for clients.
func (s *session) checkPackage(data []byte, req UploadRequest, now UnixMilli) (stored StoredKeyPackage, err error) {
	if len(data) > MaxKeyPackage {
		return stored, fmt.Errorf("%d bytes are more than %d", len(data), MaxKeyPackage)
	}
	parsed, err := mls.ParseKeyPackage(data)
	if err != nil {
		return stored, err
	}
	if string(parsed.SignatureKey) != s.id.Raw() {
		return stored, &mls.Error{Field: "leaf_node.signature_key", Problem: "is not the caller's identity"}
	}
	longest := mls.MaxLifetime
	if req.AnyLength {
		longest = 0 // any
	}
	if err := parsed.CheckLifetime(now.Time(), longest); err != nil {
		return stored, err
	}
	return StoredKeyPackage{
		Ref:         sha256.Sum256(parsed.Bare),
		Fingerprint: sha256.Sum256(data),
		CipherSuite: CipherSuite(parsed.CipherSuite),
		Data:        data,
		ExpiresAt:   s.keepUntil(now, parsed.NotAfter, req.LastResort),
		NotAfter:    refusedUntil(parsed.NotAfter),
	}, nil
}

// keepUntil is the retention, or the package's own lifetime if shorter.
func (s *session) keepUntil(now UnixMilli, notAfter time.Time, lastResort bool) UnixMilli {
	retention := s.node.cfg.Retention.KeyPackages
	if lastResort {
		retention = s.node.cfg.Retention.LastResort
	}
	return min(now.Add(retention), Milli(notAfter))
}

func (s *session) put(ctx context.Context, packages []StoredKeyPackage, lastResort bool, now UnixMilli) error {
	limit := s.node.cfg.Quotas.KeyPackages
	done, err := s.node.cfg.Store.PutKeyPackages(ctx, PutKeyPackages{
		Owner: s.id, LastResort: lastResort, Packages: packages, Max: limit, Now: now,
	})
	if err != nil {
		return err
	}
	switch done.Result {
	case PutSpent:
		return Errorf(CodeInvalidArgument, "key package %d: it was handed out already; make a new one", done.Index)
	case PutOtherKind:
		return Errorf(CodeInvalidArgument, "key package %d: it cannot be one-time and last-resort both; make a new one", done.Index)
	case PutOverQuota:
		return Errorf(CodeQuotaExceeded, "an identity may hold %d key packages", limit)
	}
	s.node.cfg.Bus.Hint(Hint{Owner: s.id, Kind: HintKeyPackages})
	return nil
}

// ClaimKeyPackage implements Session.
func (s *session) ClaimKeyPackage(ctx context.Context, req ClaimRequest) (claimed KeyPackage, err error) {
	err = s.do(ctx, opClaim, ChannelID{}, func(c *call) error {
		if err := s.checkClaim(ctx, req, c); err != nil {
			return err
		}
		done, err := s.claim(ctx, req, c.now)
		if err != nil {
			return err
		}
		claimed = done.KeyPackage
		c.record.peer, c.record.count = req.Owner, 1
		return nil
	})
	return claimed, err
}

func (s *session) checkClaim(ctx context.Context, req ClaimRequest, c *call) error {
	switch {
	case req.Owner.IsZero():
		return Errorf(CodeInvalidArgument, "identity is missing")
	case req.Owner == s.id:
		return Errorf(CodeInvalidArgument, "you cannot claim your own key packages")
	case len(req.ClaimID) > MaxMessageID:
		return Errorf(CodeInvalidArgument, "claimId has %d bytes, more than %d", len(req.ClaimID), MaxMessageID)
	case len(req.Suites) > maxSuites:
		return Errorf(CodeInvalidArgument, "a claim names at most %d cipher suites", maxSuites)
	}
	rates := &s.node.cfg.Rates
	return s.pay(ctx, c,
		Charge{Bucket: "claim/" + s.id.Raw() + "/" + req.Owner.Raw(), Cost: 1, Rate: rates.ClaimsPair, Shared: true},
		Charge{Bucket: "claim from/" + s.origin.bucket(), Cost: 1, Rate: rates.ClaimsAddress, Shared: true})
}

// claim takes from the owner's hourly budget of one-time packages first, so
// that a race cannot exceed it, and gives back what was not used. Whoever gives up
// on the claim, it is brought to its end: a package that nobody waits for any more
// is spent as well, and is counted and audited.
func (s *session) claim(ctx context.Context, req ClaimRequest, now UnixMilli) (ClaimedKeyPackage, error) {
	budget := []Charge{{Bucket: "claimed/" + req.Owner.Raw(), Cost: 1, Rate: s.node.cfg.Rates.ClaimsOwner, Shared: true}}
	ctx = context.WithoutCancel(ctx)
	limited := s.node.charge(ctx, Origin{}, now, budget) != nil
	done, err := s.node.cfg.Store.ClaimKeyPackage(ctx, ClaimKeyPackageRequest{
		Owner:      req.Owner,
		Claimer:    s.id,
		ClaimID:    string(req.ClaimID),
		ClaimUntil: now.Add(claimMemory),
		Suites:     req.Suites,
		OneTime:    !limited,
		MinExpiry:  now.Add(claimHeadroom),
		Now:        now,
	})
	used := err == nil && done.Found && !done.Repeated && !done.KeyPackage.LastResort
	if !used && !limited {
		s.node.giveBack(ctx, now, budget)
	}
	if used && done.Remaining < lowStock {
		s.node.cfg.Bus.Hint(Hint{Owner: req.Owner, Kind: HintKeyPackages})
	}
	if err == nil && !done.Found {
		err = Errorf(CodeKeyPackageNotFound, "there is no key package of this identity in the wanted cipher suites")
	}
	return done, err
}

// KeyPackageStatus implements Session.
func (s *session) KeyPackageStatus(ctx context.Context) (stock []KeyPackageStock, err error) {
	err = s.do(ctx, opStatus, ChannelID{}, func(c *call) error {
		stock, err = s.node.cfg.Store.KeyPackageStock(ctx, s.id, c.now)
		return err
	})
	return stock, err
}
