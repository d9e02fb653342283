package runtime

import "time"

// Every bound of the node, with its reason.
const (
	// DefaultRetention is how long finished executions, with their history and
	// the identity of their signals, are kept: a sender's retries end long before.
	DefaultRetention = 30 * 24 * time.Hour

	// sweepEvery and sweepBatch pace the forgetting: often enough that no single
	// sweep is long, small enough that signals do not wait behind one.
	sweepEvery = time.Minute
	sweepBatch = 500

	// Each step of a stop has a time of its own, so that one that spends it takes none
	// from the next. leaveTimeout bounds the handing over to the other nodes, which
	// takes less than a second unless they do not answer; drainTimeout the commits that
	// are under way, milliseconds each unless the store stands still; poolTimeout the
	// tasks that are interrupted: a program has two seconds after SIGTERM; and
	// partTimeout what this node still says to the others.
	leaveTimeout = 6 * time.Second
	drainTimeout = 5 * time.Second
	poolTimeout  = 4 * time.Second
	partTimeout  = 3 * time.Second

	// StopTimeout is what Stop takes at most.
	StopTimeout = leaveTimeout + drainTimeout + poolTimeout + partTimeout

	// storeTimeout bounds a read of one document.
	storeTimeout = 10 * time.Second

	// unavailableRetryAfter is what a sender is asked to hold when the store cannot be
	// read or a key changes hands all the time: neither lasts, and sooner is a flood.
	unavailableRetryAfter = time.Second

	// countTimeout bounds the counting of the executions in memory for one scrape of
	// the metrics: shards answer within a millisecond, and a scrape waits for nobody.
	countTimeout = time.Second

	// maxTakeovers is how often a start looks for the holder of its key again,
	// because the one that it found finished meanwhile.
	maxTakeovers = 8

	// maxEarlier executions with the same signal id are looked at to find the one
	// that an earlier attempt of the same request reached.
	maxEarlier = 100

	// maxPage is the most rows a page may have, whoever asks.
	maxPage = 1000

	// maxWhyPages of history are read to find who paused an execution and what
	// became of the deadlines of its open waits: that is among its last records,
	// unless thousands of signals came since.
	maxWhyPages = 4

	// LetterRetention is how long dead letters are kept: as long as the receipts
	// of what they speak of, by default.
	LetterRetention = DefaultRetention

	// redeliverAtOnce messages of a group of dead letters are under way together.
	redeliverAtOnce = 64
)
