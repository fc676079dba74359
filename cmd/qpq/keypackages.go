package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"time"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/identity"
	"github.com/quicproquo/node/nodeservice/mls"
)

// The lifetimes of packages that qpq makes. The node keeps them for less.
const (
	oneTimeLifetime    = 28 * 24 * time.Hour
	lastResortLifetime = 84 * 24 * time.Hour
	clockSkew          = time.Hour // between us and whoever reads not_before
)

// keypackagesCommand is about MLS key packages (RFC 9420, section 10).
type keypackagesCommand struct {
	Upload keypackagesUpload `cmd:"" help:"Upload key packages: files that an MLS client made, or else new ones, whose private keys go to the state file."`
	Claim  keypackagesClaim  `cmd:"" help:"Take one of another identity's key packages."`
	Status keypackagesStatus `cmd:"" help:"Count this identity's key packages at the node."`
}

type keypackagesUpload struct {
	Files      []string `arg:"" optional:"" type:"existingfile" help:"Key packages, one a file."`
	Count      int      `default:"1" placeholder:"N" help:"How many new ones to make, without files; at most 100."`
	LastResort bool     `help:"Kept by the node, for when the one-time ones have run out."`
	Suite      uint16   `placeholder:"N" help:"Cipher suite of new ones. Default: 1, or for a P-256 identity 2."`
}

// Run prints each package's fingerprint.
func (u *keypackagesUpload) Run(ctx context.Context, a *app) error {
	if u.Count < 1 || u.Count > nodeservice.MaxUpload || len(u.Files) > nodeservice.MaxUpload {
		return usageError{fmt.Errorf("at most %d key packages at a time, and at least one", nodeservice.MaxUpload)}
	}
	c, err := a.client(ctx)
	if err != nil {
		return err
	}
	packages, err := u.packages(c)
	if err != nil {
		return err
	}
	var fingerprints []nodeservice.Fingerprint
	err = c.do(ctx, func(s nodeservice.Session) (err error) {
		fingerprints, err = s.UploadKeyPackages(ctx, nodeservice.UploadRequest{Packages: packages, LastResort: u.LastResort})
		return err
	})
	if err != nil {
		return err
	}
	for _, f := range fingerprints {
		if err := a.out().print(object{"fingerprint": f.String(), "last_resort": u.LastResort}, "%s", f); err != nil {
			return err
		}
	}
	return nil
}

func (u *keypackagesUpload) packages(c *client) (packages [][]byte, err error) {
	for _, path := range u.Files {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		packages = append(packages, data)
	}
	if len(packages) > 0 {
		return packages, nil
	}
	return u.build(c)
}

// build makes packages. Their private keys are on disk before the packages are
// anywhere else: nobody can claim one that its owner cannot use.
func (u *keypackagesUpload) build(c *client) ([][]byte, error) {
	template := u.template(c.private)
	packages := make([][]byte, u.Count)
	secrets := make(map[string]keyPackageSecrets, u.Count)
	for i := range packages {
		built, err := template.Build()
		if err != nil {
			return nil, err
		}
		packages[i] = built.Bytes
		secrets[nodeservice.Fingerprint(sha256.Sum256(built.Bytes)).String()] = keyPackageSecrets{
			CipherSuite:   nodeservice.CipherSuite(template.CipherSuite),
			InitKey:       built.InitKey.Bytes(),
			EncryptionKey: built.EncryptionKey.Bytes(),
		}
	}
	return packages, c.file.update(func(s *state) error {
		if s.KeyPackages == nil {
			s.KeyPackages = make(map[string]keyPackageSecrets)
		}
		for fingerprint, secret := range secrets {
			s.KeyPackages[fingerprint] = secret
		}
		return nil
	})
}

func (u *keypackagesUpload) template(private *identity.PrivateKey) mls.KeyPackageTemplate {
	suite := mls.CipherSuite(u.Suite)
	if suite == 0 {
		suite = mls.MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519
		if private.Public().Algorithm() == identity.ES256 {
			suite = mls.MLS_128_DHKEMP256_AES128GCM_SHA256_P256
		}
	}
	lifetime := oneTimeLifetime
	if u.LastResort {
		lifetime = lastResortLifetime
	}
	now := time.Now()
	return mls.KeyPackageTemplate{
		CipherSuite: suite,
		Signer:      private.Signer(),
		Credential:  private.Public().Bytes(),
		NotBefore:   now.Add(-clockSkew),
		NotAfter:    now.Add(lifetime),
		Framed:      true,
	}
}

type keypackagesClaim struct {
	Owner   identityArgument `arg:"" name:"identity" help:"Whose."`
	Suites  []uint16         `placeholder:"N" help:"Cipher suites that will do. Default: any."`
	ClaimID string           `placeholder:"ID" help:"Name of the claim, 1 to 64 bytes: asked again with the same name within 10 minutes, the answer is the same."`
}

// Run prints the package as base64url.
func (k *keypackagesClaim) Run(ctx context.Context, a *app) error {
	c, err := a.client(ctx)
	if err != nil {
		return err
	}
	req := nodeservice.ClaimRequest{Owner: k.Owner.Identity}
	if k.ClaimID != "" {
		req.ClaimID = []byte(k.ClaimID)
	}
	for _, suite := range k.Suites {
		req.Suites = append(req.Suites, nodeservice.CipherSuite(suite))
	}
	var claimed nodeservice.KeyPackage
	err = c.do(ctx, func(s nodeservice.Session) (err error) {
		claimed, err = s.ClaimKeyPackage(ctx, req)
		return err
	})
	if err != nil {
		return err
	}
	data := bytesText(claimed.Data)
	return a.out().print(
		object{"key_package": data, "fingerprint": claimed.Fingerprint.String(), "suite": claimed.CipherSuite, "last_resort": claimed.LastResort},
		"%s", data)
}

// identityArgument is an identity on the command line.
type identityArgument struct{ nodeservice.Identity }

// UnmarshalText implements encoding.TextUnmarshaler.
func (i *identityArgument) UnmarshalText(text []byte) (err error) {
	i.Identity, err = identity.ParseKeyText(unmarked(text))
	return err
}

type keypackagesStatus struct{}

// Run prints a line for each cipher suite.
func (*keypackagesStatus) Run(ctx context.Context, a *app) error {
	c, err := a.client(ctx)
	if err != nil {
		return err
	}
	var stock []nodeservice.KeyPackageStock
	err = c.do(ctx, func(s nodeservice.Session) (err error) {
		stock, err = s.KeyPackageStatus(ctx)
		return err
	})
	if err != nil {
		return err
	}
	for _, s := range stock {
		err := a.out().print(
			object{"suite": s.CipherSuite, "one_time": s.OneTime, "soonest_expiry": timeOrNull(s.SoonestExpiry),
				"last_resort": s.LastResort, "last_resort_uses": s.LastResortUses},
			"suite %d  one-time %d  last resort %t, used %d times", s.CipherSuite, s.OneTime, s.LastResort, s.LastResortUses)
		if err != nil {
			return err
		}
	}
	return nil
}
