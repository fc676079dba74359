package noderpc

import (
	"context"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/schema"
)

// UploadKeyPackage(s), fetchKeyPackage, keyPackageStatus.

const keyPackagesLane = "key packages"

// UploadKeyPackage implements schema.NodeService_Server: the upload of version 0,
// one key package at a time.
func (o *object) UploadKeyPackage(ctx context.Context, call schema.NodeService_uploadKeyPackage) error {
	args := call.Args()
	req, err := decodeUpload(args)
	r := o.request(call.Call, args).with(keyPackagesLane, err)
	return answer(ctx, o, r, call.AllocResults,
		func(ctx context.Context, s nodeservice.Session) ([]nodeservice.Fingerprint, error) {
			return s.UploadKeyPackages(ctx, req)
		},
		func(res schema.NodeService_uploadKeyPackage_Results, prints []nodeservice.Fingerprint) error {
			return res.SetFingerprint(prints[0][:])
		})
}

func decodeUpload(args schema.NodeService_uploadKeyPackage_Params) (req nodeservice.UploadRequest, err error) {
	req.AnyLength = args.Version() == 0
	if req.Owner, err = key(args.IdentityKey()); err != nil {
		return req, err
	}
	pkg, err := data(args.Package())
	req.Packages = [][]byte{pkg}
	return req, err
}

// UploadKeyPackages implements schema.NodeService_Server.
func (o *object) UploadKeyPackages(ctx context.Context, call schema.NodeService_uploadKeyPackages) error {
	args := call.Args()
	packages, err := dataList("packages", nodeservice.MaxUpload)(args.Packages())
	r := o.request(call.Call, args).with(keyPackagesLane, err)
	req := nodeservice.UploadRequest{Packages: packages, LastResort: args.LastResort()}
	return answer(ctx, o, r, call.AllocResults,
		func(ctx context.Context, s nodeservice.Session) ([]nodeservice.Fingerprint, error) {
			return s.UploadKeyPackages(ctx, req)
		},
		func(res schema.NodeService_uploadKeyPackages_Results, prints []nodeservice.Fingerprint) error {
			list, err := res.NewFingerprints(int32(len(prints)))
			if err != nil {
				return err
			}
			for i, print := range prints {
				if err := list.Set(i, print[:]); err != nil {
					return err
				}
			}
			return nil
		})
}

// FetchKeyPackage implements schema.NodeService_Server: a claim.
func (o *object) FetchKeyPackage(ctx context.Context, call schema.NodeService_fetchKeyPackage) error {
	args := call.Args()
	req, err := decodeClaim(args)
	r := o.request(call.Call, args).with(keyPackagesLane, err)
	return answer(ctx, o, r, call.AllocResults,
		func(ctx context.Context, s nodeservice.Session) (nodeservice.KeyPackage, error) {
			return s.ClaimKeyPackage(ctx, req)
		},
		func(res schema.NodeService_fetchKeyPackage_Results, pkg nodeservice.KeyPackage) error {
			res.SetSuite(uint16(pkg.CipherSuite))
			res.SetLastResort(pkg.LastResort)
			if err := res.SetFingerprint(pkg.Fingerprint[:]); err != nil {
				return err
			}
			return res.SetPackage(pkg.Data)
		})
}

func decodeClaim(args schema.NodeService_fetchKeyPackage_Params) (req nodeservice.ClaimRequest, err error) {
	if req.Owner, err = someKey(args.IdentityKey()); err != nil {
		return req, err
	}
	if req.ClaimID, err = data(args.ClaimId()); err != nil {
		return req, err
	}
	req.Suites, err = suites(args.Suites())
	return req, err
}

// KeyPackageStatus implements schema.NodeService_Server.
func (o *object) KeyPackageStatus(ctx context.Context, call schema.NodeService_keyPackageStatus) error {
	r := o.request(call.Call, call.Args()).with(keyPackagesLane, nil)
	return answer(ctx, o, r, call.AllocResults,
		func(ctx context.Context, s nodeservice.Session) ([]nodeservice.KeyPackageStock, error) {
			return s.KeyPackageStatus(ctx)
		},
		func(res schema.NodeService_keyPackageStatus_Results, stocks []nodeservice.KeyPackageStock) error {
			list, err := res.NewSuites(int32(len(stocks)))
			if err != nil {
				return err
			}
			for i, stock := range stocks {
				encodeStock(list.At(i), stock)
			}
			return nil
		})
}
