package redisstore

import (
	"bytes"
	"errors"
	"testing"

	ns "github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/redisstore/redistest"
)

// TestALostSecretIsNotMadeAnew deletes the secret of a Redis in use, and that of one
// which holds channels only: whoever asks for it next is told, and gets no other.
func TestALostSecretIsNotMadeAnew(t *testing.T) {
	for name, url := range map[string]func() string{
		"one Redis":    func() string { return redistest.Start(t).URL() },
		"three shards": func() string { return redistest.StartCluster(t, 0).URL() },
	} {
		t.Run(name, func(t *testing.T) {
			client := connected(t, url())
			secrets := NewSecrets(client)
			for space, use := range map[string]func(*Store) error{
				"*": func(s *Store) error {
					_, err := s.CreateChannel(t.Context(), creation(person(1), person(2), 1, 0))
					return err
				},
				"marks": func(s *Store) error {
					_, err := s.Spend(t.Context(), "kind", [32]byte{1}, someTime+1, someTime)
					return err
				},
				"messages": func(s *Store) error {
					req := note(ns.ChannelID{}, person(1), []byte("x"), "")
					_, err := s.Append(t.Context(), req)
					return err
				},
			} {
				fresh := func() ([]byte, error) { return []byte(space), nil }
				for range 2 { // made, and found
					if got, err := secrets.ReadOrFound(t.Context(), space, space, fresh); err != nil || !bytes.Equal(got, []byte(space)) {
						t.Fatalf("%s: at first %q, %v", space, got, err)
					}
				}
				store, err := Open(t.Context(), Config{Client: client, Namespace: space})
				if err != nil {
					t.Fatal(err)
				}
				if err := use(store); err != nil {
					t.Fatal(err)
				}
				if err := client.Del(t.Context(), secretKey(space)).Err(); err != nil {
					t.Fatal(err)
				}
				if got, err := secrets.ReadOrFound(t.Context(), space, space, fresh); !errors.Is(err, ErrSecretLost) {
					t.Errorf("%s: of a lost secret: %q, %v", space, got, err)
				}
			}
		})
	}
}
