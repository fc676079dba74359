package gateway

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// origins are the web origins (RFC 6454) whose pages may use the gateway, each
// as "scheme://host[:port]" in lower case. One list for CORS and for upgrades.
type origins map[string]struct{}

func parseOrigins(publicURL string, allowed []string) (origins, error) {
	list := origins{}
	if publicURL != "" {
		u, err := url.Parse(publicURL)
		if err != nil || u.Scheme == "" || u.Host == "" {
			return nil, fmt.Errorf("gateway: the public URL %q has no scheme and host", publicURL)
		}
		list[normalOrigin(u)] = struct{}{}
	}
	for _, text := range allowed {
		u, err := url.Parse(text)
		if err != nil || u.Scheme == "" || u.Host == "" || strings.Contains(u.Host, "*") || u.Scheme+"://"+u.Host != text {
			return nil, fmt.Errorf("gateway: %q is not an origin such as https://app.example.com", text)
		}
		list[normalOrigin(u)] = struct{}{}
	}
	return list, nil
}

// normalOrigin spells an origin as browsers do: the scheme's own port is left out.
func normalOrigin(u *url.URL) string {
	host := strings.ToLower(u.Host)
	switch strings.ToLower(u.Scheme) {
	case "http":
		host = strings.TrimSuffix(host, ":80")
	case "https":
		host = strings.TrimSuffix(host, ":443")
	}
	return strings.ToLower(u.Scheme) + "://" + host
}

// allow says whether a page of this request's Origin may use the gateway, and
// whether there is an Origin at all. "null" names no page, so none is allowed.
func (o origins) allow(r *http.Request) (origin string, allowed bool) {
	all := r.Header.Values("Origin")
	if len(all) == 0 {
		return "", true
	}
	u, err := url.Parse(all[0])
	if len(all) > 1 || err != nil || u.Scheme == "" || u.Host == "" || u.Scheme+"://"+u.Host != all[0] {
		return all[0], false
	}
	if _, listed := o[normalOrigin(u)]; listed {
		return all[0], true
	}
	own := url.URL{Scheme: u.Scheme, Host: r.Host}
	return all[0], normalOrigin(u) == normalOrigin(&own)
}
