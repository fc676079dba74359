package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/quicproquo/node/nodeservice"
	"github.com/quicproquo/node/nodeservice/redisstore"
)

// The values of --store.
const (
	storePebble = "pebble"
	storeRedis  = "redis"
)

// redisPatience is how long a node waits for its Redis at the start: they may be
// started together.
const redisPatience = 30 * time.Second

// ownLimits is how many buckets of rate limits a node keeps in its own memory.
const ownLimits = 1 << 18

// revocationsEvery is how often other nodes' revocations are read without a hint.
const revocationsEvery = time.Second

// shared is what a node has in common with others, in Redis.
type shared struct {
	client  *redisstore.Client
	bus     *redisstore.Bus
	limiter nodeservice.Limiter // with --shared-limits of all, else of what all nodes must count together
	secret  []byte
}

// openRedis waits until the Redis of --redis-url answers and is fit, and makes of
// it what nodes share.
func (n *node) openRedis(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, redisPatience)
	defer cancel()
	s := &shared{}
	var err error
	if s.client, err = n.connectRedis(ctx, n.cfg.RedisURL); err != nil {
		return fmt.Errorf("--redis-url: %w", err)
	}
	report, err := n.checkRedis(ctx, s.client)
	if err != nil {
		return fmt.Errorf("--redis-url: %w", err)
	}
	if n.store, err = redisstore.Open(ctx, redisstore.Config{
		Client: s.client, Wait: n.cfg.Durability.wait(), Keeps: report.Persistence, Log: n.log,
	}); err != nil {
		return err
	}
	n.onClose(n.store.Close)
	if err := n.openShared(ctx, s); err != nil {
		return err
	}
	n.shared = s
	return nil
}

// openShared opens what stands beside the store.
func (n *node) openShared(ctx context.Context, s *shared) (err error) {
	secrets := redisstore.NewSecrets(s.client)
	if s.secret, err = secrets.ReadOrFound(ctx, "", sharedSecret, newSecret); err != nil {
		return fmt.Errorf("the nodes' secret: %w", err)
	}
	if n.cfg.TokenKeys != "" {
		n.keys, err = openKeyFile(n.cfg.TokenKeys, n.log)
	} else {
		n.keys, err = openSharedKeys(ctx, secrets, n.log)
	}
	if err != nil {
		return err
	}
	if s.bus, err = redisstore.NewBus(ctx, s.client, n.log); err != nil {
		return err
	}
	n.onClose(s.bus.Close)
	limits := s.client
	if n.cfg.RedisLimitsURL != "" {
		if limits, err = n.connectRedis(ctx, n.cfg.RedisLimitsURL); err != nil {
			return fmt.Errorf("--redis-limits-url: %w", err)
		}
	}
	s.limiter = redisstore.NewLimiter(limits, redisstore.LimiterOptions{Log: n.log})
	if !n.cfg.SharedLimits {
		s.limiter = nodeservice.SplitLimiter{Own: nodeservice.NewMemoryLimiter(ownLimits), Shared: s.limiter}
	}
	return nil
}

// connectRedis waits until a Redis answers.
func (n *node) connectRedis(ctx context.Context, address secretURL) (*redisstore.Client, error) {
	client, err := redisstore.Connect(string(address))
	if err != nil {
		return nil, err
	}
	n.onClose(client.Close)
	n.log.Info("connecting to Redis", "url", address.String(), "patience", redisPatience)
	if err := client.Await(ctx); err != nil {
		return nil, fmt.Errorf("%v does not answer: %w", address, err)
	}
	return client, nil
}

// checkRedis waits for a cluster that is still getting ready, but not for an
// unfit configuration to change.
func (n *node) checkRedis(ctx context.Context, client *redisstore.Client) (redisstore.Report, error) {
	for {
		report, err := client.Check(ctx)
		var refused *redisstore.RefusedError
		switch {
		case err == nil:
			n.warn(report)
			return report, nil
		case errors.As(err, &refused) || ctx.Err() != nil:
			return report, err
		}
		select {
		case <-time.After(250 * time.Millisecond):
		case <-ctx.Done():
			return report, err
		}
	}
}

// warn says what the operator should know of the Redis.
func (n *node) warn(report redisstore.Report) {
	for _, warning := range report.Warnings {
		n.log.Warn("about this Redis: " + warning)
	}
	if wanted := n.cfg.Durability.wait().Replicas; wanted > report.Replicas {
		n.log.Warn("fewer replicas are connected than --durability waits for: nothing is stored until they are",
			"wanted", wanted, "connected", report.Replicas)
	}
}

// ready says whether the node can serve: its store answers, and in Redis mode the
// clocks agree.
func (n *node) ready(ctx context.Context) error {
	if err := n.service.Ready(ctx); err != nil || n.shared == nil {
		return err
	}
	return n.shared.client.Ready(ctx, time.Now)
}
