package redis

import "time"

// Every bound of the Redis store, with its reason. What an execution, a signal or
// an event may measure is bounded in workflow/limits.go.
const (
	// maxQueued writes may wait for the writer: some seconds of work of a Redis that
	// syncs always. More are refused at once, because a longer queue only makes every
	// answer later.
	maxQueued = 65_536

	// maxQueuedBytes may wait for the writer, so that large states cannot fill the
	// memory before maxQueued is reached.
	maxQueuedBytes = 128 << 20

	// writeOverhead is what a write weighs beside its bytes.
	writeOverhead = 512

	// maxGroup writes share a pipeline, and with it a sync: enough for every client
	// of a busy node, few enough that Redis answers others in between.
	maxGroup = 1024

	// maxGroupBytes share a pipeline: Redis buffers a whole pipeline and its answers.
	maxGroupBytes = 4 << 20

	// maxCall writes share a call of the script: enough that what a call costs is
	// shared by many, few enough that it takes some milliseconds.
	maxCall = 256

	// dialLimit bounds a connection's making; a Redis next door takes a millisecond.
	dialLimit = time.Second

	// answerLimit bounds how long a pipeline is waited for. A Redis that is silent
	// for longer is stopped, cut off or rewriting: senders are told so.
	answerLimit = 3 * time.Second

	// resolveLimit is how long the writer tries to find out what became of writes
	// whose answer was lost, and to send those again that were not written, before
	// their senders hear that it is not known. Others wait meanwhile.
	resolveLimit = 2 * time.Second

	// probeFirst and probeLast bound the hold between two attempts to write again
	// after a failure: a Redis that is back is noticed within a second.
	probeFirst = 50 * time.Millisecond
	probeLast  = time.Second

	// watchEvery is how often a store asks how its Redis is: level, role, memory.
	// A change of level is seen by senders this much later.
	watchEvery = time.Second

	// openLimit is how long an opening waits for a Redis that is starting.
	openLimit = 10 * time.Second

	// readRetries of a read whose connection broke: reads change nothing.
	readRetries = 2

	// poolSize connections are kept for reading, beside one for the writer.
	poolSize = 32

	// confirmLimit is how long the replicas have to confirm when the address does
	// not say: a healthy one takes milliseconds.
	confirmLimit = time.Second

	// maxConfirmLimit is the longest that an address may say: the writer waits for
	// it, and everybody behind it.
	maxConfirmLimit = 30 * time.Second

	// clusterPartitions divide a store on Redis Cluster that is told no other
	// number: as many masters can share the work. Each costs a list one more look.
	clusterPartitions = 16

	// maxPartitions is the most that an address may ask for.
	maxPartitions = 256

	// maxPrefix bytes may the key prefix have: every key begins with it.
	maxPrefix = 64

	// foldStep is how many records an execution writes between two looks at whether
	// it keeps more than workflow.MaxRecords.
	foldStep = 1000

	// recordChunk rows of records are read at once: a row is what one commit wrote.
	recordChunk = 256

	// maxPage is the most that one call of a list returns, whatever it asks for:
	// a page is built in memory.
	maxPage = 10_000

	// defaultPage is what a list returns that does not say how much.
	defaultPage = 100

	// leastChunk entries of an index are read at once from one partition, most
	// so many: a script that reads holds up all others.
	leastChunk = 16
	mostChunk  = 1000

	// drainChunk events of an outbox are carried to their home at once.
	drainChunk = 256

	// statsLimit bounds what the figures wait for Redis: they are asked for by
	// whoever scrapes metrics.
	statsLimit = 500 * time.Millisecond

	// claimGrace is how long a claim may wait for the commit that it was made for: the
	// writer sends that at once. An older one whose execution is not there was left
	// behind by a node that died, and is taken over.
	claimGrace = 2 * answerLimit

	// barredFor is how long a commit that came too late is remembered: no node holds
	// one back for so long and is still alive.
	barredFor = 24 * time.Hour

	// claimRounds is how often a claim is tried against others who try the same.
	claimRounds = 3

	// keptWriters is how many openings back a writer's mark is kept in each
	// partition. One that is older and still alive marks itself again.
	keptWriters = 1000

	// maxRememberedBytes of the file beside the node that names the Redis.
	maxRememberedBytes = 4 << 10
)
