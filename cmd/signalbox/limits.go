package main

import (
	"time"

	"github.com/signalbox/signalbox/runtime"
)

// Every bound of the command line, with its reason.
const (
	// maxInput bytes are read from a file or standard input for --input and
	// --payload: what the front door takes, so that the answer is immediate.
	maxInput = 1 << 20

	// maxKeyFile bytes are read from SIGNALBOX_KEY_FILE: a key is about fifty.
	maxKeyFile = 4 << 10

	// linesPerRequest of a file of messages go into one request: enough that the
	// syncs are shared, few enough that results come while one looks.
	linesPerRequest = 1000

	// maxListed rows are fetched by a list that was not told a limit: more do
	// not help anybody who reads them.
	maxListed = 50

	// requestTimeout bounds one question to a node. It is longer than a node's
	// own patience, so the node's explanation comes first.
	requestTimeout = 30 * time.Second

	// broadcastPoll is how often a broadcast is looked at by who waits for its end.
	broadcastPoll = 100 * time.Millisecond

	// authorityLife and certificateLife are how long what `cluster certificates` makes is
	// good: long enough not to be a chore, short enough that renewing is practised.
	authorityLife   = 10 * 365 * 24 * time.Hour
	certificateLife = 365 * 24 * time.Hour

	// certificateRenewal before its end a certificate is made anew, and
	// certificateSkew is by how much the clocks of two machines may differ.
	certificateRenewal = 30 * 24 * time.Hour
	certificateSkew    = 5 * time.Minute

	// completionTimeout bounds what a shell waits for after the tab key.
	completionTimeout = time.Second

	// doorTimeout bounds what a node does for its clients after it was told to stop:
	// requests take milliseconds, streams are ended, and what has not arrived after
	// http.StopGrace is refused, so that only who does not read his answer is cut.
	doorTimeout = 6 * time.Second

	// stopTimeout bounds the stop of everything behind the door, and drainTimeout the
	// time between the signal and the closing of the store. Each step has its own time:
	// one that spends it takes none from those that make accepted work durable.
	stopTimeout  = runtime.StopTimeout
	drainTimeout = doorTimeout + stopTimeout

	// reloadPause is how long the files of a project must be quiet before they
	// are read again: editors write in several steps, git in many.
	reloadPause = 150 * time.Millisecond

	// maxWatched folders of one project are watched: each costs a descriptor.
	maxWatched = 1024

	// demoTimeout bounds the whole demo, and demoStep each thing it waits for,
	// so that it ends with an explanation where a machine is very slow.
	demoTimeout = 60 * time.Second
	demoStep    = 15 * time.Second

	// demoPoll is how often the demo asks again for something that is about to happen.
	demoPoll = 20 * time.Millisecond

	// maxNodeOutput bytes of a demo node's log are kept to explain a failure.
	maxNodeOutput = 16 << 10

	// heapPerWalked bytes of garbage may gather for each that a collection walks over,
	// leastHeapRoom at least and heapRoom at most: at a full load collections take a
	// fiftieth of a processor then. More room is more memory to be had from the
	// system, which on a virtual machine can take as long as the collections.
	// On a small machine it is one part in heapShare of the memory.
	heapPerWalked = 8
	leastHeapRoom = 64 << 20
	heapRoom      = 256 << 20
	heapShare     = 16

	// leastGrowth and mostGrowth are by how many percent of what lives in it the heap
	// may grow between two collections: Go's own setting at least, and at most what an
	// almost empty heap can use before a load comes that fills it.
	leastGrowth = 100
	mostGrowth  = 32 * leastGrowth

	// restBytes are allocated between two looks, restLook apart, by a node that does
	// next to nothing: a hundred signals, or a scrape of its metrics. After restSoon
	// such looks in a row it gives back what garbage has filled; after restLate the
	// executions have left memory, too (actors.IdleAfter), and it does so once more.
	restBytes = 1 << 20
	restLook  = time.Second
	restSoon  = 5
	restLate  = 20

	// keptForever is the retention of a node that was told to forget nothing:
	// longer than anybody looks back.
	keptForever = 100 * 365 * 24 * time.Hour
)
