package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/quicproquo/node/nodeservice/identity"
)

// issuers are external issuers, as the configuration file lists them:
//
//	issuers:
//	  - issuer: https://login.example.org
//	    audience: https://chat.example.org
//	    jwks-url: https://login.example.org/jwks.json
//
// As a flag, or in the environment, the list is YAML as well.
type issuers struct{ list []issuer }

// issuer is one of them. Zero fields are left out, and mean the default.
type issuer struct {
	Issuer      string               `yaml:"issuer"`
	Audience    string               `yaml:"audience"`
	Type        string               `yaml:"type,omitempty"`
	Algorithms  []identity.Algorithm `yaml:"algorithms,omitempty,flow"`
	MaxLifetime time.Duration        `yaml:"max-lifetime,omitempty"`
	JWKSFile    string               `yaml:"jwks-file,omitempty"`
	JWKSURL     string               `yaml:"jwks-url,omitempty"`
}

const maxIssuers = 64

// UnmarshalText refuses members that it does not know: a misspelled one would be
// a check that nobody makes.
func (i *issuers) UnmarshalText(text []byte) error {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	var list []issuer
	if err := decoder.Decode(&list); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("issuers is not a list of issuers: %w", err)
	}
	if len(list) > maxIssuers {
		return fmt.Errorf("issuers has %d items; at most %d are allowed", len(list), maxIssuers)
	}
	i.list = list
	return nil
}

// MarshalYAML implements yaml.Marshaler: config print shows the list as a list.
func (i issuers) MarshalYAML() (any, error) { return append([]issuer{}, i.list...), nil }

func (i issuers) policies() (policies []identity.IssuerPolicy) {
	for _, one := range i.list {
		policies = append(policies, identity.IssuerPolicy{
			Issuer: one.Issuer, Audience: one.Audience, Type: one.Type, Algorithms: one.Algorithms,
			MaxLifetime: one.MaxLifetime, JWKSFile: one.JWKSFile, JWKSURL: one.JWKSURL,
		})
	}
	return policies
}
