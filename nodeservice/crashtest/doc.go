// Package crashtest shows that a node keeps its word through crashes. A Kit
// drives a node through both of its doors, lets it die at a moment that it does
// not choose, starts it again on what is left on its disk, and writes down every
// operation with what its caller learned: answered, refused, or unknown because
// the connection died. Check then holds that history to what a client may rely
// on, and Linearizable holds one without crashes to the whole of it.
//
// It knows nodes as clients do: how one is run, and killed, is the Machine's
// affair. It is no load generator, and measures nothing.
//
// Chance decides what is done and when the node dies; a seed decides chance. The
// moments are counted in operations, never in time, but how the goroutines meet
// is the scheduler's affair: a seed gives the same plan again, not the same run.
package crashtest
