package http

import (
	"context"
	"net/http"

	"github.com/signalbox/signalbox/workflow"
)

// ClusterAnswer is all nodes as the one that was asked sees them.
type ClusterAnswer struct {
	Clustered bool     `json:"clustered"` // false: the node is alone
	Self      string   `json:"self,omitempty"`
	View      uint64   `json:"view"`
	Moving    bool     `json:"moving"`
	Members   []Member `json:"members"`
}

// Member is one node with what it holds.
type Member struct {
	ID          string `json:"id,omitempty"`
	Address     string `json:"address,omitempty"`
	Version     string `json:"version"`
	State       string `json:"state"` // active, leaving, silent
	JoinedAt    Time   `json:"joined_at,omitzero"`
	Partitions  int    `json:"partitions"`
	Live        int    `json:"live"`
	HandingOver int    `json:"handing_over"`
	Pending     int    `json:"pending"`
}

// The states of members.
const (
	MemberActive  = "active"
	MemberLeaving = "leaving" // it hands over and ends
	MemberSilent  = "silent"  // it has not said what it holds, and may be dead: its lease decides
)

func (x *exchange) cluster() error {
	c := x.server.node.Cluster(x.context())
	answer := ClusterAnswer{Clustered: c.Clustered, Self: c.Self, View: c.View, Moving: c.Moving, Members: make([]Member, len(c.Members))}
	for i, m := range c.Members {
		answer.Members[i] = memberOf(m)
	}
	return x.answer(http.StatusOK, "cluster retrieved", answer)
}

func memberOf(m workflow.Member) Member {
	state := MemberActive
	switch {
	case !m.Answers:
		state = MemberSilent
	case m.Leaving:
		state = MemberLeaving
	}
	return Member{
		ID: m.ID, Address: m.Address, Version: m.Version, State: state, JoinedAt: Time(m.JoinedAt),
		Partitions: m.Partitions, Live: m.Live, HandingOver: m.HandingOver, Pending: m.Pending,
	}
}

// Cluster tells the nodes and what each holds.
func (c *Client) Cluster(ctx context.Context) (ClusterAnswer, error) {
	return call[ClusterAnswer](ctx, c, "GET", api+"/cluster", nil, nil)
}
