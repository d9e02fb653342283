package cluster

import "time"

// Every bound of the cluster, with its reason.
const (
	// Partitions is the number of pieces that everything is divided into: with
	// three nodes each has a third within five percent, and the table of owners
	// is made in less than a millisecond when somebody comes or goes.
	Partitions = 1024

	// LeaseTTL is how long a node stays a member without renewing its lease. The
	// executions of a node that was killed answer again after at most this and
	// one beat; a node that stands still for less keeps its place.
	LeaseTTL = 4 * time.Second

	// beats of a lease happen within its TTL: three may fail.
	beats = 4

	// RequestTimeout is how long a request without a deadline of its own is
	// routed again before its sender is told that the outcome is unknown: as
	// long as the front door waits.
	RequestTimeout = 20 * time.Second

	// AttemptTimeout is how long one attempt goes without an answer before the
	// owner is asked again: an answer can get lost where a request did not.
	AttemptTimeout = 3 * time.Second

	// silentAfter is how long a node may leave a request unanswered before that is
	// said, and silentEvery how often: the lease of one that died ends before.
	silentAfter = 2 * AttemptTimeout
	silentEvery = time.Minute

	// holdFirst and holdMost bound the hold before a request is routed again
	// whose owner was not to be had; it doubles, holdDoublings times at most, which is
	// beyond holdMost and far from what a duration can hold.
	holdFirst     = 10 * time.Millisecond
	holdMost      = 200 * time.Millisecond
	holdDoublings = 10

	// retryAfter is what a sender is asked to hold when his request could not be
	// brought to its owner: a change of owners is mostly over by then.
	retryAfter = time.Second

	// pingEvery is how often a connection is asked whether somebody is still there, and
	// pingTimeout how long the answer may take: a peer that stands still is noticed by
	// its lease long before; this frees what a connection to it holds.
	pingEvery   = 10 * time.Second
	pingTimeout = 5 * time.Second

	// dialTimeout is how long making a connection may take before it is tried again: a
	// node next door takes a millisecond, and a request may be routed again meanwhile.
	dialTimeout = 2 * time.Second

	// certificatesEvery is how often the files are looked at, at most: a handshake
	// is rare, and a flood of them must not become a flood of reads.
	certificatesEvery = time.Second

	// tick is how often requests under way are looked through.
	tick = 20 * time.Millisecond

	// MaxPending requests to other nodes may be under way: as many as a node
	// admits from outside, and as many of its own timers, results and events.
	MaxPending = 40_000

	// MaxMessageBytes of one message between nodes: a start by an event carries
	// its payload, of at most 1 MiB, as input and as origin.
	MaxMessageBytes = 4 << 20

	// batch is how many messages Proto.Actor may put into one of gRPC's, whose
	// size is bounded in turn: maxFrameBytes holds a full batch of large ones.
	batch         = 16
	maxFrameBytes = batch*MaxMessageBytes + 1<<20

	// queue is the room that Proto.Actor sets aside for messages to one node; it
	// grows beyond.
	queue = 1024

	// doors is the number of actors that take messages of other nodes in:
	// messages to one execution pass through one of them, in order.
	doors = 8

	// watchEvery is how often a node says again what is watched on it, and looks
	// by itself: a watcher that missed a message is not later than that.
	// watchFor is how long the owner remembers without hearing it again.
	watchEvery = 2 * time.Second
	watchFor   = 3 * watchEvery

	// maxWatches is how many executions a node remembers as watched elsewhere:
	// what the streams and synchronous starts of some nodes can be.
	maxWatches = 16_384

	// catchUpEvery is how often a node looks for events of its own that another
	// node accepted and whose message got lost.
	catchUpEvery = 5 * time.Second

	// recentDeparture is how long after a node went its work is issued again by
	// whoever has become the owner: moves that follow one another are over then.
	recentDeparture = 30 * time.Second

	// rejoinAfter and rejoinMost bound the hold between two attempts to come
	// back; it doubles.
	rejoinAfter = 100 * time.Millisecond
	rejoinMost  = 2 * time.Second

	// askTimeout bounds a question to every node about itself.
	askTimeout = time.Second

	// flushTimeout bounds how long a leaving node makes sure that its last
	// answers have left.
	flushTimeout = time.Second

	// never is longer than any process lives: Proto.Actor's gossip is an
	// authority of its own on who is there, and we have one already.
	never = 10 * 365 * 24 * time.Hour
)
