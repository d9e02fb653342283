package http

import (
	"time"

	"github.com/signalbox/signalbox/workflow"
)

// Every bound of the front door, with its reason. What the core bounds is in
// workflow/limits.go.
const (
	// MaxBodyBytes of a request: an output of the core may be as large, and a
	// payload that is larger belongs into a file store with a link to it.
	MaxBodyBytes = 1 << 20

	// MaxBatch messages may come in one request, and MaxBatchBytes of them: a
	// client that has more sends more requests, and loses less when one breaks off.
	MaxBatch      = 10_000
	MaxBatchBytes = 16 << 20

	// BatchPiece messages of a batch are delivered at a time: the commits of one
	// piece share their syncs, and the memory is that of one piece.
	BatchPiece = 1_000

	// MaxForeseen signals may be looked at in one dry run: each is folded in memory,
	// and the answer tells all of its steps.
	MaxForeseen = 100

	// MaxTogether signals may be kept together or not at all: they are one commit.
	MaxTogether = 1_000

	// MaxBodyDepth of nested JSON: people nest below ten, and everything that
	// walks a payload later may recurse safely.
	MaxBodyDepth = 64

	// maxFields names of one object are remembered to find the one that stands there
	// twice: more than any object has that is walked by its known fields.
	maxFields = 12

	// MaxHeaderBytes of a request's head: cookies of a shared domain fit, a
	// flood of a hundred thousand headers does not.
	MaxHeaderBytes = 64 << 10

	// ReadHeaderTimeout ends a connection that does not finish its request's head.
	ReadHeaderTimeout = 10 * time.Second

	// ReadTimeout ends a request whose body trickles: 1 MiB in that time is
	// slower than any telephone. net/http lifts it when the body has been read,
	// so it does not end streams.
	ReadTimeout = 30 * time.Second

	// WriteTimeout ends an answer that the client does not read. Streams and
	// synchronous starts set it anew for each write.
	WriteTimeout = 30 * time.Second

	// StopGrace is how long a node that stops waits for requests that are on their way to
	// it: what was sent before the client could know has arrived by then.
	StopGrace = 2 * time.Second

	// IdleTimeout closes a kept connection that nobody uses.
	IdleTimeout = 60 * time.Second

	// Patience is how long a handler waits for the node before it answers 503
	// with the code timeout. It is below WriteTimeout, so the answer gets out.
	Patience = 20 * time.Second

	// patienceGrain is how long one shared deadline is handed out: a request
	// waits between Patience and Patience plus this.
	patienceGrain = time.Second

	// DefaultMaxInFlight requests may be with the node at once; more are
	// answered 503 at once, because a queue in front of a queue only adds delay.
	DefaultMaxInFlight = 1024

	// DefaultMaxStreams event streams may be open at once: each costs a
	// connection, a goroutine and a watch.
	DefaultMaxStreams = 1024

	// DefaultMaxSyncWaits requests that wait for something may wait at once, for
	// the same reason: synchronous starts, streams of messages, ?wait= of receipts.
	DefaultMaxSyncWaits = 1024

	// MaxBodiesHeld bytes of large bodies may be in memory at once, over all
	// requests: many slow senders of large bodies cannot exhaust the memory.
	MaxBodiesHeld = 256 << 20

	// pooledBody bytes are set aside for each body without being counted in
	// MaxBodiesHeld: nearly every signal fits.
	pooledBody = 4 << 10

	// maxPooledBuffer bytes a buffer may have to be kept for the next request;
	// a larger one would pin the memory of one rare large body.
	maxPooledBuffer = 64 << 10

	// measuredBody bytes and fewer are counted by net/http itself; a longer answer
	// is chunked unless its length is said before.
	measuredBody = 2 << 10

	// HeartbeatInterval of an event stream: below the idle limits of usual proxies.
	HeartbeatInterval = 15 * time.Second

	// StreamWriteTimeout drops a stream whose client does not read.
	StreamWriteTimeout = 10 * time.Second

	// streamPage records are read at a time for a stream.
	streamPage = 50

	// streamRetry is how long a client should hold before it reconnects.
	streamRetry = 2 * time.Second

	// DefaultSyncTimeout and MaxSyncTimeout bound a synchronous start, as
	// clients of the reference system know them.
	DefaultSyncTimeout = 60 * time.Second
	MaxSyncTimeout     = 300 * time.Second

	// MaxReceiptWait is how long the answer to a receipt is held for a final fate:
	// below what usual proxies allow; whoever wants to know later asks again.
	MaxReceiptWait = 60 * time.Second

	// maxTraced receipts of one answer are followed to what they caused, of one of an
	// event as many waits that took it; and maxCaused things are listed of each, looked
	// for in maxCauseRecords of the history, causePage at a time: the history and the
	// links have the rest.
	maxTraced       = 20
	maxCaused       = 100
	maxCauseRecords = 1000
	causePage       = 50

	// DefaultListLimit and MaxListLimit bound the items of one page.
	DefaultListLimit = 50
	MaxListLimit     = 500

	// DefaultHistoryLimit and MaxHistoryLimit bound the records of one page.
	DefaultHistoryLimit = 100
	MaxHistoryLimit     = 1000

	// MaxListBytes of inputs, outputs and payloads go into one page of a list or
	// a history; a page that would have more is cut short, with a cursor to go on.
	MaxListBytes = 32 << 20

	// MaxReceipts of one signal id are shown: the same id may be used for
	// several executions, each has its own receipt.
	MaxReceipts = 100

	// MaxIDBytes of an id or a name that a client chooses.
	MaxIDBytes = workflow.MaxNameBytes

	// MaxSourceBytes of a CloudEvent's source, a URI; and MaxExtensions it may
	// have: the specification asks producers to keep attributes short and few.
	MaxSourceBytes = 1024
	MaxExtensions  = 64

	// MaxRequestIDBytes of an X-Request-Id that is echoed; a longer one is
	// replaced, because it is written into every log line of the request.
	MaxRequestIDBytes = 128

	// MaxReasonBytes of a cancel's reason: it is kept in the history.
	MaxReasonBytes = 1024

	// MaxKeys are kept, revoked and expired ones included: the index of all of
	// them is in memory.
	MaxKeys = 1000

	// MaxKeyNameBytes of a key's name: it is written into every receipt.
	MaxKeyNameBytes = 128

	// KeyRefresh is the age at which the index of keys is read again, so that a
	// key revoked on another node stops working here.
	KeyRefresh = 30 * time.Second

	// keyRetry is how long a failed or an extra reading of the keys holds off
	// the next one: senders of unknown keys cannot make the store busy.
	keyRetry = time.Second

	// MaxKeyAge is how old the index may get while the store cannot be read;
	// beyond it nobody is let in, because a revocation could have been missed.
	MaxKeyAge = 10 * time.Minute

	// LastUseInterval is how often the last use of a key is written at most.
	LastUseInterval = time.Minute

	// MaxAudit records are kept; the oldest are dropped first.
	MaxAudit = 1000

	// auditPrune writes happen between two clearings of old audit records, so
	// their number is at most MaxAudit plus this.
	auditPrune = 50

	// maxAuditRead records are read at once, to show or to drop them: more than one
	// process may write between two prunings.
	maxAuditRead = 4 * MaxAudit

	// deniedInterval is how often the same kind of denial of the same key is
	// recorded at most, and maxDenied how many kinds are told apart.
	deniedInterval = time.Minute
	maxDenied      = 256

	// maxKeyWrites of last use and audit may be under way at once; more are
	// left out, they are samples anyway.
	maxKeyWrites = 16

	// maxEcho bytes of a name that a client made up are repeated in an answer: people
	// recognise it, and a hostile one does not make the answer long.
	maxEcho = 64

	// defaultRetryAfter is said on 429 and 503 when the node named no time: what
	// is full for a moment is not full any more by then.
	defaultRetryAfter = time.Second

	// minStatus and maxStatus bound the statuses that are counted one by one: HTTP has
	// none beyond them that ends a request.
	minStatus = 200
	maxStatus = 600

	// durabilityAge is how long the header that names the durability is kept:
	// asking the node for its health counts things, too many for every answer.
	durabilityAge = time.Second

	// maxStreamLine bytes of one line of a stream are read by the client: a record
	// holds at most a payload or an output beside its own fields.
	maxStreamLine = workflow.MaxValue + 64<<10

	// usualStreamLine bytes of room are set aside for a line, which grows to
	// maxStreamLine: most records fit.
	usualStreamLine = 4 << 10

	// MaxClientAnswer bytes of an answer are read by the client.
	MaxClientAnswer = 256 << 20

	// MaxRedeliveries dead letters are redelivered or discarded by one request:
	// it answers within seconds, and says whether there are more.
	MaxRedeliveries = 1_000
)
