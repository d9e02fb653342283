package actors

import "time"

// Every bound of the actors, with its reason.
const (
	// Shards is the number of supervisors: enough that activation is not serial
	// on many cores, few enough to sweep often.
	Shards = 32

	// TurnSize is how many inputs an execution folds into one commit: a turn
	// stays within a few milliseconds, and a batch to one execution needs few commits.
	TurnSize = 256

	// TurnBytes is how much a turn's inputs bring before it ends, the one that reaches
	// it included: as much as the disk takes at once, so that large messages to one
	// execution neither hold up those to others for long nor become one commit that
	// no store takes.
	TurnBytes = 4 << 20

	// MaxNow tasks of one turn are done within it; those that follow go the way of
	// all work, so that a workflow which goes round and round can be stopped.
	MaxNow = 16

	// keepRecords is the largest room for the records of a turn that is kept for
	// another: that of a turn of TurnSize signals.
	keepRecords = 8 * TurnSize

	// MaxFlights is how many commits of one execution may be on their way to the
	// disk; beyond that its inputs gather into the next turn.
	MaxFlights = 2

	// MaxIdle goroutines wait for the next execution that gets a message: more
	// than there are ever busy at once on a few cores, and their stacks are small.
	MaxIdle = 64

	// ownTurn messages are handled by a sender who waits for his reply: his own, the
	// turn that it leads to, and what came just before; others do the rest.
	ownTurn = 4

	// keepQueue is the largest room for deliveries that one without any keeps: most
	// turns are of one.
	keepQueue = 4

	// keepPost is the largest room for messages that an execution without any keeps.
	keepPost = 16

	// throughput messages of one actor are handled in a row, as the library does.
	throughput = 300

	// MaxReroutes is how often an input is routed again after its execution
	// turned out to be owned elsewhere, before the sender is told.
	MaxReroutes = 5

	// RerouteAfter is the first hold of a cluster before an input is routed once
	// more; it doubles. All of them together are longer than a change of owners
	// takes to reach every node.
	RerouteAfter = 10 * time.Millisecond

	// IdleAfter is how long an execution without messages stays in memory.
	IdleAfter = 15 * time.Second

	// MaxLive executions stay in memory per shard; beyond that the idle ones
	// leave at the next sweep without waiting for IdleAfter.
	MaxLive = 500

	// MaxSpare free seats are kept per shard for the executions that come: as many
	// as were taken while executions were started as fast as can be. Of those that
	// nobody took until the next sweep one part in spareShare is given up: ending an
	// actor takes as long as a tenth of a signal, and nobody is in a hurry.
	MaxSpare   = 2 * MaxLive
	spareShare = 16

	// SweepEvery is how often a supervisor looks for idle executions.
	SweepEvery = time.Second

	// MaxAdmitted inputs from outside may be under way in the node; the next one
	// is refused with Retry-After, because an answer after seconds is worse.
	MaxAdmitted = 20_000

	// MaxFanouts events are fanned out at a time; the others stay accepted in
	// the store and follow.
	MaxFanouts = 1_024

	// FanoutWindow is how many deliveries of one event may be unanswered.
	FanoutWindow = 1_000

	// Keepers offer kept events at a time, and MaxOffers of them may wait for
	// their turn: when there are more, all that is kept is offered once more.
	Keepers   = 4
	MaxOffers = 10_000

	// MaxSeen executions that an event found by a key are remembered, so that none
	// is given it twice for a second wait. Beyond that it is, which changes nothing
	// and is not counted again, except when another node says that it passes by.
	MaxSeen = 10_000

	// MaxDeliveries are listed in an event's receipt; all are counted.
	MaxDeliveries = 1_000

	// MaxPasses waits that an event passed by are listed with the reason, because
	// each is judged once more for it; the executions are counted all.
	MaxPasses = 100

	// AlarmWindow is how far ahead timers are held in memory, and AlarmBatch how
	// many are read at a time. Twice as many are held at most; beyond that those that
	// come last are left to the store.
	AlarmWindow = 30 * time.Second
	AlarmBatch  = 10_000

	// AlarmsAtOnce timers may be fired and not answered; the next follow as these
	// are. A store that takes 20 ms for a commit gets 200,000 a second, and those
	// that stand still leave most of the room to others.
	AlarmsAtOnce = 4_000

	// AlarmCrowded is how soon the clock reads on when the store is not well.
	AlarmCrowded = time.Second

	// AlarmAgain is when a timer that was fired and is still stored is fired again.
	AlarmAgain = 5 * time.Second

	// AlarmSick is when the timers of those are fired again that could not be loaded:
	// what was damaged may be read well then, and a definition be there that was missing.
	// MaxSick of them are remembered, for some ten MiB; the timers of others are fired as
	// often as any that is still stored.
	AlarmSick = 10 * time.Minute
	MaxSick   = 100_000

	// RedeliverAfter is the first hold before a result that could not be
	// committed is delivered again; it doubles up to RedeliverMost.
	RedeliverAfter = 100 * time.Millisecond
	RedeliverMost  = 5 * time.Second

	// MaxBroadcasts may be under way or waiting for their turn, each a goroutine;
	// BroadcastsAtOnce of them work, so that their rates do not add up to a flood.
	MaxBroadcasts    = 100
	BroadcastsAtOnce = 4

	// LookForBroadcasts is how often a node of a cluster looks for broadcasts that
	// it owns and does not work on: those that another node accepted or left behind.
	LookForBroadcasts = 2 * time.Second

	// OfferAgainAfter the loss of a node its kept events are offered once more. A store
	// frees what it was just taking after seconds: see claimGrace in persistence/redis.
	OfferAgainAfter = 15 * time.Second

	// MaxBroadcastsKept finished ones are kept, for less than the retention where
	// there are more: each may have megabytes of results.
	MaxBroadcastsKept = 1_000

	// targetsPage targets of a broadcast are written down together at most: one
	// document, and what a crash makes it look at again.
	targetsPage = 200

	// MaxSample executions are named by a dry run of a broadcast.
	MaxSample = 10

	// RecoverBatch is how many working executions are woken at a time at start.
	RecoverBatch = 500

	// storeTimeout bounds one read from the store by an actor.
	storeTimeout = 10 * time.Second

	// unavailableRetryAfter is what a sender is asked to hold when the store or
	// the node cannot take more.
	unavailableRetryAfter = time.Second

	// LetterRate dead letters of refused messages are kept a second in the long
	// run, of LetterRateBytes of payload; a burst may be larger. That is far more
	// than anybody reads, and little beside what the disk takes: a flood of what
	// nobody wants slows nothing down. The others are dropped, and counted.
	LetterRate       = 50
	LetterBurst      = 1_000
	LetterRateBytes  = 256 << 10
	LetterBurstBytes = 4 << 20

	// LetterBacklog letters may wait for the disk, LetterBatch of them are written
	// at once.
	LetterBacklog = 256
	LetterBatch   = 128

	// NearRecords of a finished execution's history are looked through for the
	// wait that a signal came too late for.
	NearRecords = 256

	// nearPlaces names of waits that closed lately are remembered.
	nearPlaces = 256

	// For a wait that had closed when an event of its name came, NearExecutions that
	// finished last and as many of the newest ones of each of NearWorkflows are read,
	// and the histories of the NearHistories that changed last: a few milliseconds,
	// at most NearLooks times a second.
	NearExecutions = 100
	NearWorkflows  = 8
	NearHistories  = 16
	NearLooks      = 10

	// MaxForeseen executions are looked at to say what an event would do: each is
	// read and folded, and a person reads the answer.
	MaxForeseen = 100
)
