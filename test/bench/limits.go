package main

import "time"

const (
	// connections send at the same time, each waiting for its answer.
	connections = 64

	// roundsDefault of each measurement are made and the median is told: one can
	// be an accident, three cannot all be the same one.
	roundsDefault = 3

	// requestsDefault of each kind are made in a round: some seconds of work.
	requestsDefault = 20_000

	// slicesOfRound is how often echo and work take turns in a round: a slice is some
	// tenths of a second, in which a machine that others use, too, is one machine.
	slicesOfRound = 4

	// correlatedDefault waits have a key of their own while one event looks for
	// its wait among them: what the design promises. They take over a minute to start.
	correlatedDefault = 1_000_000

	// fewCorrelated of them are what many are compared with, and probes events
	// are sent one after the other to each.
	fewCorrelated = 1_000
	probes        = 1_000

	// restSamples in a row, restEvery apart, a node takes less than one part in
	// restShare of a processor: then what it had to write and to passivate is done.
	// After restTimeout it is measured as it is.
	restSamples = 4
	restEvery   = 500 * time.Millisecond
	restShare   = 20
	restTimeout = time.Minute

	// fanned executions wait for one event.
	fanned = 10_000

	// waitsDefault executions wait while memory, disk and cold start are measured.
	waitsDefault = 100_000

	// loopers are the executions that take a signal again and again: four for
	// each connection, so that commits of one execution do not queue behind each other.
	loopers = 4 * connections

	// batchSize signals go into one request where batches are measured.
	batchSize = 250

	// batchRounds times as many signals come in batches to executions that wait
	// again: they are over too soon otherwise.
	batchRounds = 4

	// warmUp requests are made before anything is measured.
	warmUp = 2_000

	// latencySamples are enough for a p99 that two slow ones do not decide.
	latencySamples = 500

	// syncSamples of the disk itself are taken in every round.
	syncSamples = 100

	// syncBytes are written before each sync: about one group of commits.
	syncBytes = 4 << 10

	// heapSamples are scraped to find the heap right after a collection, which
	// is the least of them.
	heapSamples = 20

	// heapEvery is the time between two of them.
	heapEvery = 100 * time.Millisecond

	// coldStarts with and without waiting executions are made.
	coldStarts = 3

	// ioTimeout bounds one request.
	ioTimeout = 30 * time.Second

	// headerBytes bounds the head of an answer, bodyBytes its body.
	headerBytes = 16 << 10
	bodyBytes   = 4 << 20

	// finishTimeout bounds how long triggered executions may take to finish.
	finishTimeout = 60 * time.Second

	// passivateTimeout bounds how long idle executions may stay in memory before
	// the measurement goes on without their passivation.
	passivateTimeout = 3 * time.Minute

	// giveBack after that a node that is left alone has given back what it has no use for.
	giveBack = 20 * time.Second

	// pollEvery is how often a counter is read while something is awaited.
	pollEvery = 20 * time.Millisecond

	// redisTimeout bounds the start of a redis-server.
	redisTimeout = 10 * time.Second

	// stopTimeout bounds the end of a node.
	stopTimeout = 30 * time.Second
)
