package cluster

import (
	"context"
	"log/slog"
	"time"
)

// Link is one life of a node in the cluster: from joining to leaving, or to the
// moment when it finds that it lost its place.
type Link interface {
	// Open joins and returns when the node is a member and takes messages.
	Open(ctx context.Context) error
	// Self is this node as a member.
	Self() Member
	// Owner is the member that owns a key, nil when nobody is known to: the node
	// has lost its place, or nobody is there to take it. here: it is this node.
	Owner(key string) (m *Member, here bool)
	// Table is who owns what, as this node knows; nil when it has lost its place.
	Table() *Table
	// Send sends a frame to the node at an address and returns at once. Frames
	// about one key arrive in their order. What cannot be sent is lost;
	// Handler.Lost says so when it is noticed.
	Send(address, key string, f *frame)
	// Refresh makes the link ask for the members soon.
	Refresh()
	// Retire makes the node one that owns nothing and still takes messages.
	Retire(ctx context.Context) error
	// Close leaves, if the node is still a member, and ends everything.
	Close(ctx context.Context) error
}

// Handler is who a link talks to. Its methods are called from goroutines of the
// link and must not block.
type Handler interface {
	// Received is a frame of another node.
	Received(f frame)
	// Lost says that what was sent to an address may not have arrived.
	Lost(address string)
	// Moved says that there is another table than before.
	Moved(before, now *Table)
	// Fenced says that the node lost its place: it owns nothing any more, and
	// the link is of no more use.
	Fenced(cause error)
}

// Options are what a node of a cluster is made of.
type Options struct {
	Membership Membership
	Listen     string // HOST:PORT for other nodes
	Advertise  string // HOST:PORT under which they reach it; "": where it listens
	TLS        *Certificates
	Version    string // of the program
	TTL        time.Duration
	Logger     *slog.Logger
}
