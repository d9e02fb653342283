// Package chaos loads a real node from many clients, kills it with SIGKILL
// again and again, freezes it, asks it to stop, and starts it on the same data.
// Every client writes into a ledger what it asked for and what it was told. At
// the end the ledger is held against the histories of the node: what was
// acknowledged must be there exactly once and in order, what nobody was told
// about may be there at most once, and every answer must agree with the first.
//
// Three nodes on one Redis get the same, and partitions: every connection of
// theirs, to the Redis and to each other, is a cable that can be cut. They go
// from the release before to this one and back. And a node has its Redis broken.
package chaos
