package redisstore

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/quicproquo/node/nodeservice"
)

// MaxClockDifference is how far a node's clock and its Redis's may lie apart: a
// message's expiry and a token's end are told by the clock of whichever node
// answers.
const MaxClockDifference = 5 * time.Second

// Ready says whether Redis answers and tells about the same time as the node's
// clock: an *nodeservice.Error that is fit for a probe.
func (c *Client) Ready(ctx context.Context, now func() time.Time) error {
	err := c.masters(ctx, func(ctx context.Context, master redis.Cmdable) error {
		before := now()
		theirs, err := master.Time(ctx).Result()
		if err != nil {
			return &nodeservice.Error{Code: nodeservice.CodeUnavailable, Detail: "Redis does not answer", Cause: err}
		}
		after := now()
		if ahead, behind := before.Sub(theirs), theirs.Sub(after); max(ahead, behind) > MaxClockDifference {
			return nodeservice.Errorf(nodeservice.CodeUnavailable,
				"the clocks of the node and of Redis are %v apart, over %v", max(ahead, behind).Round(time.Millisecond), MaxClockDifference)
		}
		return nil
	})
	var ours *nodeservice.Error
	if err != nil && !errors.As(err, &ours) {
		err = &nodeservice.Error{Code: nodeservice.CodeUnavailable, Detail: "Redis does not answer", Cause: err}
	}
	return err
}

// Await returns when Redis answers, or with the last reason when ctx ends before.
func (c *Client) Await(ctx context.Context) error {
	for {
		err := c.Ping(ctx).Err()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return err
		}
		rest(ctx, 250*time.Millisecond)
		if ctx.Err() != nil {
			return err
		}
	}
}
