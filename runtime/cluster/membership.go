package cluster

import (
	"context"
	"errors"
	"fmt"
)

// Protocol is the number of the language that nodes speak to each other. It is
// raised when a node of the release before could not understand a message that
// it must; types that are new are refused one by one and need no new number.
const Protocol = 1

// Member is one node of the cluster in one life: a node that lost its place
// comes back as another member.
type Member struct {
	ID       string `json:"id"`
	Address  string `json:"address"` // HOST:PORT under which the other nodes reach it
	Protocol int    `json:"protocol"`
	Version  string `json:"version"` // of the program
	Leaving  bool   `json:"leaving,omitempty"`
	JoinedAt int64  `json:"joined_at"` // milliseconds since 1970 by the clock of the membership
}

// View is who is in the cluster, as one authority says it.
type View struct {
	Number  uint64   // higher than that of any view before
	Members []Member // in the order of their ids
	// SinceDeparture is how many milliseconds ago a member left or was lost, as
	// of when the view was read; negative when nobody ever did.
	SinceDeparture int64
}

// Membership is the one authority on who is in the cluster.
type Membership interface {
	// Join makes a member. A member of the same address is replaced: whoever
	// holds the address now, the other one cannot.
	Join(ctx context.Context, m Member) (View, error)
	// Renew keeps the member for another TTL, as it is now, and returns who is
	// there. The error is ErrLost when it is no member any more.
	Renew(ctx context.Context, m Member) (View, error)
	// Leave ends the membership at once. Leaving twice is no error.
	Leave(ctx context.Context, id string) error
	// Changes gets a value, without blocking anybody, when the members may have
	// changed, until the context ends. Some changes may be missed.
	Changes(ctx context.Context) <-chan struct{}
}

// ErrLost says that a node is no member any more: its lease ran out.
var ErrLost = errors.New("the lease of this node is gone: it stood still, or was cut off, for longer than its time to live")

// OtherProtocol says that the cluster speaks another language than this node.
type OtherProtocol struct{ Member Member }

func (o *OtherProtocol) Error() string {
	return fmt.Sprintf("node %s at %s, version %s, speaks protocol %d of the cluster and this one speaks %d: they cannot be in one cluster; stop the older ones first, or go over a release that speaks both",
		o.Member.ID, o.Member.Address, o.Member.Version, o.Member.Protocol, Protocol)
}
