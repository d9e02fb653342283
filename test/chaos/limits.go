package chaos

import "time"

const (
	// clients send at the same time, each waiting for its answer: enough for
	// several requests to be under way at the moment of any kill.
	clients = 24

	// signalsPerExecution are sent by one client to one execution before it goes
	// on with a new one, so that starts are killed too and no history is long.
	signalsPerExecution = 200

	// requestTimeout is longer than any freeze, so that only a death of the node
	// makes an outcome unknown.
	requestTimeout = 10 * time.Second

	// retryAfter holds a client back from asking a node that has just failed it.
	// A new address ends the hold at once.
	retryAfter = 100 * time.Millisecond

	// answerBytes bounds what is read of one answer: a page of history of the
	// largest limit fits, an answer without end does not.
	answerBytes = 64 << 20

	// historyPage is how many records are asked for at once.
	historyPage = 500

	// settleTimeout bounds how long after the last restart a kept signal may
	// take to be applied: guarantee G7, everything runnable moves again.
	settleTimeout = 20 * time.Second

	// settleEvery is how often an execution that has not settled is looked at.
	settleEvery = 50 * time.Millisecond

	// receiptsChecked signals are looked up by their id at the end. All of them
	// would cost more time than the rest of the test.
	receiptsChecked = 1500

	// drainTimeout is what a node under load may take to end after SIGTERM.
	drainTimeout = 10 * time.Second

	// killAfterMin and killAfterMax bound the moment of a kill after ready: from
	// "while it re-issues what was pending" to "in full flight".
	killAfterMin = 50 * time.Millisecond
	killAfterMax = 1500 * time.Millisecond

	// freezeFor is how long a round's freeze lasts.
	freezeFor = 200 * time.Millisecond

	// pieceBytes is how much a cable passes on at once.
	pieceBytes = 64 << 10

	// standStill is how long a node of a cluster is frozen or cut off: longer than
	// its lease of 4 s, so that its executions get other owners.
	standStill = 5500 * time.Millisecond

	// longFreeze is how long one freeze of the plan lasts: long enough for whatever
	// in a network or a library gives up on a peer.
	longFreeze = 30 * time.Second

	// flaps of a connection in one round, and how long each part of one lasts: too
	// short for a lease to run out.
	flaps     = 6
	flapEvery = 300 * time.Millisecond

	// slowBy is what a slow connection delays each piece by: some hops of a request
	// stay within its deadline.
	slowBy = 50 * time.Millisecond

	// probes of a dead node's executions are asked at once after each kill.
	probes = 60

	// deafClients hear nothing of a node's trouble and go on talking to it, as those
	// behind a load balancer that has not noticed yet.
	deafClients = 4

	// answersAgain bounds how long after the death of a node its executions take
	// to answer: the promise of docs/guarantees.md.
	answersAgain = 10 * time.Second

	// healed bounds how long a node that was frozen takes to be a member again, and
	// the nodes to have followed every move.
	healed = 15 * time.Second

	// defaultRounds of kill -9; the environment variable CHAOS_ROUNDS asks for another number.
	defaultRounds = 20
)
