package noderpc

import (
	"context"
	"errors"

	"capnproto.org/go/capnp/v3"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/schema"
)

// UploadKeyPackages implements nodeservice.Session. It ignores AnyLength, which only
// uploads of version 0 have: this client speaks a later one.
func (s *clientSession) UploadKeyPackages(
	ctx context.Context, req nodeservice.UploadRequest,
) ([]nodeservice.Fingerprint, error) {
	if !req.Owner.IsZero() && len(req.Packages) == 1 && !req.LastResort {
		return s.uploadFor(ctx, req.Owner, req.Packages[0])
	}
	if !req.Owner.IsZero() && req.Owner != s.identity {
		return nil, invalid("an upload for another owner must be one key package, and not a last-resort one")
	}
	if len(req.Packages) > nodeservice.MaxUpload {
		return nil, invalid("packages has %d items; at most %d are allowed", len(req.Packages), nodeservice.MaxUpload)
	}
	return ask(ctx, s, schema.NodeService.UploadKeyPackages,
		func(p schema.NodeService_uploadKeyPackages_Params) error {
			p.SetVersion(schema.Version)
			p.SetLastResort(req.LastResort)
			packages, err := p.NewPackages(int32(len(req.Packages)))
			if err != nil {
				return err
			}
			for i, pkg := range req.Packages {
				if len(pkg) > nodeservice.MaxKeyPackage {
					pkg = pkg[:nodeservice.MaxKeyPackage+1] // as much as is refused
				}
				if err := packages.Set(i, pkg); err != nil {
					return err
				}
			}
			return nil
		},
		func(res schema.NodeService_uploadKeyPackages_Results) ([]nodeservice.Fingerprint, error) {
			return decodeFingerprints(res.Fingerprints())
		})
}

// uploadFor uploads one key package by the older method, which names the owner.
func (s *clientSession) uploadFor(
	ctx context.Context, owner nodeservice.Identity, pkg []byte,
) ([]nodeservice.Fingerprint, error) {
	return ask(ctx, s, schema.NodeService.UploadKeyPackage,
		func(p schema.NodeService_uploadKeyPackage_Params) error {
			p.SetVersion(schema.Version)
			if err := p.SetIdentityKey([]byte(owner.Raw())); err != nil {
				return err
			}
			return p.SetPackage(pkg[:min(len(pkg), nodeservice.MaxKeyPackage+1)]) // as much as is refused
		},
		func(res schema.NodeService_uploadKeyPackage_Results) ([]nodeservice.Fingerprint, error) {
			print, err := decodeFingerprint(res.Fingerprint())
			return []nodeservice.Fingerprint{print}, err
		})
}

func decodeFingerprints(list capnp.DataList, err error) ([]nodeservice.Fingerprint, error) {
	if err != nil {
		return nil, err
	}
	prints := make([]nodeservice.Fingerprint, list.Len())
	for i := range prints {
		if prints[i], err = decodeFingerprint(list.At(i)); err != nil {
			return nil, err
		}
	}
	return prints, nil
}

func decodeFingerprint(field []byte, err error) (print nodeservice.Fingerprint, _ error) {
	if err != nil {
		return print, err
	}
	if len(field) != len(print) {
		return print, errors.New("a fingerprint has 32 bytes")
	}
	copy(print[:], field)
	return print, nil
}

// ClaimKeyPackage implements nodeservice.Session.
func (s *clientSession) ClaimKeyPackage(
	ctx context.Context, req nodeservice.ClaimRequest,
) (nodeservice.KeyPackage, error) {
	return ask(ctx, s, schema.NodeService.FetchKeyPackage,
		func(p schema.NodeService_fetchKeyPackage_Params) error { return placeClaim(p, req) },
		func(res schema.NodeService_fetchKeyPackage_Results) (out nodeservice.KeyPackage, err error) {
			out.CipherSuite = nodeservice.CipherSuite(res.Suite())
			out.LastResort = res.LastResort()
			if out.Fingerprint, err = decodeFingerprint(res.Fingerprint()); err != nil {
				return out, err
			}
			out.Data, err = data(res.Package())
			return out, err
		})
}

func placeClaim(p schema.NodeService_fetchKeyPackage_Params, req nodeservice.ClaimRequest) error {
	p.SetVersion(schema.Version)
	if err := p.SetIdentityKey([]byte(req.Owner.Raw())); err != nil {
		return err
	}
	if err := p.SetClaimId(req.ClaimID); err != nil {
		return err
	}
	wanted, err := p.NewSuites(int32(len(req.Suites)))
	if err != nil {
		return err
	}
	for i, suite := range req.Suites {
		wanted.Set(i, uint16(suite))
	}
	return nil
}

// KeyPackageStatus implements nodeservice.Session.
func (s *clientSession) KeyPackageStatus(ctx context.Context) ([]nodeservice.KeyPackageStock, error) {
	return ask(ctx, s, schema.NodeService.KeyPackageStatus,
		func(p schema.NodeService_keyPackageStatus_Params) error {
			p.SetVersion(schema.Version)
			return nil
		},
		func(res schema.NodeService_keyPackageStatus_Results) ([]nodeservice.KeyPackageStock, error) {
			list, err := res.Suites()
			if err != nil {
				return nil, err
			}
			stocks := make([]nodeservice.KeyPackageStock, list.Len())
			for i := range stocks {
				stocks[i] = decodeStock(list.At(i))
			}
			return stocks, nil
		})
}
