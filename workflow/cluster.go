package workflow

// Cluster is what a node says of all nodes.
type Cluster struct {
	Clustered bool     // false: this node is alone, and the only member
	Self      string   // id of this node's membership; "" while it has lost it
	View      uint64   // number of the list of members; higher than any before
	Moving    bool     // owners have changed and not everything has followed yet
	Members   []Member // in the order of their ids
}

// Member is one node with what it holds.
type Member struct {
	ID          string
	Address     string // for other nodes
	Version     string
	JoinedAt    Instant
	Leaving     bool // it hands over and ends
	Answers     bool // it said what follows
	Partitions  int  // of all that is divided, those that it owns
	Live        int  // executions in its memory
	HandingOver int  // of them, those that are on their way to another member
	Pending     int  // requests of its to other members
}
