// Package redis is the store for those who have outgrown one node, or who trust
// a Redis more than a disk beside the process: standalone, behind Sentinel, or a
// Redis Cluster.
//
// Everything is divided into partitions, each with a hash tag of its own. An
// execution lives in one partition with all that belongs to it: snapshot,
// records, receipts, and its entries in the lists of waits, timers, executions
// and signals. So one script changes all of it at once, on Redis Cluster too,
// and no index is ever behind.
//
// One goroutine, the writer, takes everything that is queued and sends it as one
// pipeline; Redis syncs its file once for all of it. Every script asks three
// things before it writes: is this the Redis that the store was opened on, is the
// writer the last one that this opening sent (so that nothing lands late), and
// was the commit made on the one that is stored. README.md has the data model
// and what was rejected.
package redis
