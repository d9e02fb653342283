package runtime

import "github.com/prometheus/client_golang/prometheus"

var (
	membersDesc    = describe("cluster_members", "Nodes of the cluster that this one sees, itself included; 0 while it has lost its place.")
	partitionsDesc = describe("cluster_partitions", "Of the 1024 pieces that everything is divided into, those that this node owns.")
	pendingDesc    = describe("cluster_requests_pending", "Requests to other nodes that are under way.")
	resendsDesc    = describe("cluster_resends_total", "Requests to other nodes that were sent again because no answer came.")
	movesDesc      = describe("cluster_moves_total", "Pieces that got another owner, as seen by this node.")
	fencesDesc     = describe("cluster_fences_total", "Times that this node lost its place in the cluster.")

	clusterDescs = []*prometheus.Desc{membersDesc, partitionsDesc, pendingDesc, resendsDesc, movesDesc, fencesDesc}
)

// cluster shows a node that is one of several; one that is alone has none of these.
func (g *gauges) cluster(gauge func(*prometheus.Desc, float64, ...string), count func(*prometheus.Desc, uint64)) {
	if g.node.cluster == nil {
		return
	}
	c := g.node.cluster.Counters()
	gauge(membersDesc, float64(c.Members))
	gauge(partitionsDesc, float64(c.Partitions))
	gauge(pendingDesc, float64(c.Pending))
	count(resendsDesc, c.Resends)
	count(movesDesc, c.Moves)
	count(fencesDesc, c.Fences)
}
