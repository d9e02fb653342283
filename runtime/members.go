package runtime

import (
	"context"

	"github.com/signalbox/signalbox/runtime/cluster"
	"github.com/signalbox/signalbox/workflow"
)

// Cluster implements the front door's Node: it asks every member what it holds.
func (n *Node) Cluster(ctx context.Context) workflow.Cluster {
	if n.cluster == nil {
		return workflow.Cluster{Members: []workflow.Member{{
			Version: n.options.Version, Answers: true, Partitions: cluster.Partitions, Live: n.system.Live(ctx),
		}}}
	}
	r := n.cluster.Report(ctx)
	c := workflow.Cluster{Clustered: true, Self: r.Self, View: r.View, Moving: r.Moving}
	for _, m := range r.Members {
		c.Members = append(c.Members, workflow.Member{
			ID: m.ID, Address: m.Address, Version: m.Version, JoinedAt: workflow.Instant(m.JoinedAt), Leaving: m.Leaving,
			Answers: m.Answers, Partitions: m.Partitions, Live: m.Live, HandingOver: m.Handing, Pending: m.Pending,
		})
	}
	return c
}
