package identity

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
)

// keyFile loads a JWK Set from a file.
type keyFile struct {
	path string
	seen fs.FileInfo // owned by load: of the file that keys are from; nil: none
	keys *keySet     // owned by load
}

// load reads the file if it is another, or has another size or time, than when it
// was last read with success. Replace it by renaming, so that no half is read.
func (f *keyFile) load(context.Context) (*keySet, error) {
	info, err := os.Stat(f.path) // before it is read: what changes between is read again
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", f.path)
	}
	if f.seen != nil && os.SameFile(f.seen, info) && f.seen.Size() == info.Size() && f.seen.ModTime().Equal(info.ModTime()) {
		return f.keys, nil
	}
	file, err := os.Open(f.path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	keys, err := readKeySet(file)
	if err != nil {
		return nil, fmt.Errorf("%s is %w", f.path, err)
	}
	f.seen, f.keys = info, keys
	return keys, nil
}

// keyURL loads a JWK Set from a URL.
type keyURL struct {
	url    string
	client *http.Client
}

// newKeyURL makes a client that follows nobody elsewhere, reads no environment,
// and leaves no connection behind: the next fetch is a minute away.
func newKeyURL(url string, roots *x509.CertPool) *keyURL {
	return &keyURL{url: url, client: &http.Client{
		Transport: &http.Transport{
			TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			DisableKeepAlives:      true,
			DisableCompression:     true,
			MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// load is bounded in time by its context, and in size by the set's.
func (u *keyURL) load(ctx context.Context) (*keySet, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	resp, err := u.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK { // a redirect too
		return nil, fmt.Errorf("%s answered %s", u.url, resp.Status)
	}
	keys, err := readKeySet(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("what %s answered is %w", u.url, err)
	}
	return keys, nil
}

func readKeySet(r io.Reader) (*keySet, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxKeySetSize+1))
	if err != nil {
		return nil, fmt.Errorf("cut off: %w", err)
	}
	return parseKeySet(data)
}
