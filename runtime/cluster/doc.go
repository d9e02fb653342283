// Package cluster makes one of several nodes: it knows who else is there, who
// owns what, and carries what is asked of one node to the node that owns it.
//
// Two small interfaces hold the outside world. A Membership is the one authority
// on who is in the cluster; leases in Redis are it. A Link carries messages to
// other nodes, and Proto.Actor's cluster and remote are behind it, with parts of
// ours in its places for a provider, an identity lookup and a context, because
// the stock ones were measured: a planned leave made callers hang for five
// seconds and fail, a paused node answered from a world of its own for ever, and
// addresses that look alike got half of the work.
//
// Placement is a table: every key falls into one of a fixed number of
// partitions, and every partition belongs to the member with the highest mixed
// hash of both. It is routing and never safety. Whoever believes to own an
// execution that another node owns is refused by the store, and what was asked
// of it is routed again.
package cluster
