package cluster

import (
	"context"
	"encoding/json"
)

// Report is the cluster as this node sees it.
type Report struct {
	Self    string // id of this node's present membership, "" when it has none
	View    uint64
	Members []MemberReport
	Moving  bool // owners have changed and not everything has followed yet
}

// MemberReport is one member with what it holds.
type MemberReport struct {
	Member
	Partitions int
	Answers    bool // it said what follows, in time
	Held
}

// Report asks every member what it holds.
func (n *Node) Report(ctx context.Context) Report {
	link := n.current()
	if link == nil {
		return Report{}
	}
	table := link.Table()
	if table == nil {
		return Report{}
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	said := map[string]Held{link.Self().ID: n.held(ctx)}
	for _, a := range n.askAll(ctx, link, Message{Type: typeDescribe}) {
		var h Held
		if a.err == nil && json.Unmarshal(a.body, &h) == nil {
			said[a.member.ID] = h
		}
	}
	r := Report{Self: link.Self().ID, View: table.View.Number, Moving: n.balancing.Load()}
	for _, m := range table.View.Members {
		h, answers := said[m.ID]
		r.Moving = r.Moving || h.Handing > 0
		r.Members = append(r.Members, MemberReport{Member: m, Partitions: table.Held(m.ID), Answers: answers, Held: h})
	}
	return r
}

// Counters are what the metrics show.
type Counters struct {
	Members    int // 0: this node has no place now
	Partitions int
	Pending    int
	Resends    uint64
	Moves      uint64
	Fences     uint64
}

// Counters counts without asking anybody.
func (n *Node) Counters() Counters {
	c := Counters{Pending: int(n.requests.count.Load()), Resends: n.requests.resends.Load(), Moves: n.moves.Load(), Fences: n.fences.Load()}
	if link := n.current(); link != nil {
		if table := link.Table(); table != nil {
			c.Members, c.Partitions = len(table.View.Members), table.Held(link.Self().ID)
		}
	}
	return c
}

// Problem says why this node can do nothing now, "" when it can.
func (n *Node) Problem() string {
	link := n.current()
	if link == nil || link.Table() == nil {
		return "this node has lost its place in the cluster and is joining again"
	}
	return ""
}
