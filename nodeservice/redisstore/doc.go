// Package redisstore is the engine for many nodes: a nodeservice.Store, Bus and
// Limiter on Redis 7.0 or later, on Redis Cluster, or on Valkey. It is for
// operators who run one of them already, and not for one that evicts keys.
//
// The store promises what the contract promises, as durably as Redis is told to
// be, and in this way:
//
//   - Steps. Each operation is one script on one resource, which Redis runs as
//     one step: a channel with both queues and its remembered ids, an identity's
//     key packages, an identity's channel list, an account's counters. keys.go
//     says where each lies.
//   - Time. Scripts compare what the core tells them, never Redis's clock. Redis
//     itself expires only what crashes leave behind: a payload without a message,
//     the answer to a call that might be sent again.
//   - Channels are created, and shown to their members, by several steps in
//     several places (channels.go). The pair's record is the truth. Each step may
//     be repeated; whoever creates the channel next, or sends in it, takes the
//     steps that are missing. No answer is given before all are taken.
//   - Quotas of an account reach over many channels, so they are kept in two
//     places (account.go): room is reserved with the account, the message is
//     stored, the account is told. What the account was told is never too little,
//     and is compared with its queues before it refuses anything.
//   - Calls whose answer was lost are sent again under the same token, by which
//     their script knows what it has done. So none is done twice. The exception is
//     Spend, which answers "not the first" then, and is safe in that.
//   - What cannot be done is unavailable, with a time to come back: a Redis that
//     is away, loading, full, read-only or without its master; or, where the
//     store is told to wait for replicas, too few of them.
//
// What the store cannot promise is more than Redis gives: where writes are not
// synced, or where a failover takes a replica that has not heard of them,
// confirmed messages are lost. Durability says what was configured.
package redisstore
