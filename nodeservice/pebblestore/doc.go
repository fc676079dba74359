// Package pebblestore is the embedded engine: a nodeservice.Store for one
// process on one machine, in one directory, on Pebble (a log-structured merge
// tree). It is not for several processes: the directory is locked.
//
// It promises what the contract promises, to the letter of a power cut:
//
//   - Writes. One goroutine, the committer, owns all of them. It gathers the
//     requests that wait into a group, applies them one after the other to one
//     batch, commits the batch with one sync, and then answers them all. So a
//     step needs no locks, and syncs grow slower than load.
//   - Reads see only what is durable. Pebble shows a batch to readers before it
//     is synced; a reader that saw such a message, and a power cut that undid
//     it, would leave a seq that is used twice. So reads go through a snapshot
//     that the committer takes after each sync.
//   - Payloads over 64 KiB are files of their own (blob.go): a memtable is no
//     place for them.
//   - A write that could not be synced is the last: whether it happened is
//     unknown until the log is read again, so the store refuses writes until it
//     is opened anew, which the sweep does once the disk takes writes (heal.go).
//     Reads go on. Memory that cannot be written out refuses writes until it can.
//     A damaged table that is read ends the writing until a restart. A damaged
//     payload file holds its queue back, and nothing else, until it can be read or
//     the message has expired (damage.go); meanwhile the store says that it has no
//     room, so that an operator hears of it. Damage in the last 32 KiB of the log looks like a torn write, and is dropped as one.
//     What Pebble cannot go on from in its background (a manifest that cannot be
//     written, a log that cannot be begun) ends the process, as a power cut
//     would, and loses as little.
//
// The layout of the keys is documented in keys.go, the format's version and
// migrations in migrate.go.
package pebblestore
