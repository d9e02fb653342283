package workflow

import "time"

// Every bound of the core, with its reason. What the front door bounds is in
// http/limits.go.
const (
	// MaxBuffered signals are kept per execution: a thousand is far more than a
	// person or a webhook sends ahead, and a snapshot of them stays below 1 MiB
	// for payloads of an ordinary size.
	MaxBuffered = 1000

	// MaxBufferedBytes of payload are kept per execution, because the snapshot
	// that holds them is written with every transition.
	MaxBufferedBytes = 4 << 20

	// MaxRecords of history are kept per execution; older ones are folded into
	// one summary record, because an execution may loop for years.
	MaxRecords = 50_000

	// MaxSteps tasks may start within one Advance: a cycle of tasks that need
	// nobody (skipped ones, signals) is stopped there with a clear failure.
	MaxSteps = 1_000

	// MaxRecent ids of applied signals are remembered in the state itself, so
	// that a duplicate which follows at once is a no-op even before the store is
	// asked. Older ones are found by their receipts, and ids that we made for the
	// attempt cannot come twice; each id here is written with every transition.
	MaxRecent = 16

	// MaxReceiptSteps are kept in a signal's receipt; between the first and the
	// latest ones the middle is dropped, the history has them all. They are enough
	// to name some sixty waits of one execution that took an event.
	MaxReceiptSteps = 64

	// MaxValue bytes an output or a rendered request may have.
	MaxValue = 1 << 20

	// MaxRetries attempts a policy may ask for.
	MaxRetries = 1_000

	// MaxHold is the longest timeout, sleep or retry interval: ten years.
	MaxHold = 10 * 365 * 24 * time.Hour

	// DefaultTaskTimeout bounds one attempt of a basic task that names none.
	DefaultTaskTimeout = 5 * time.Minute

	// MaxEdits is how many mistakes "did you mean" forgives in a long name.
	MaxEdits = 4

	// MaxKeyBytes of the value of an equality or a correlation_id are used as an
	// index key: what is longer is cut, and told apart by the condition.
	MaxKeyBytes = 256

	// MaxKept events are kept for a wait that opens later. Each is a few rows on
	// disk, and looked at once more when a node starts.
	MaxKept = 100_000

	// MaxKeptPaths parts of a kept event are indexed for the waits that open. An
	// event with more is looked at for every wait of its name.
	MaxKeptPaths = 32

	// bufferRetryAfter is how long the sender to a full buffer is asked to hold.
	bufferRetryAfter = 5 * time.Second

	// MaxLabels of one execution: each is a row of an index.
	MaxLabels = 16

	// MaxLabelNameBytes and MaxLabelValueBytes of one label: it is a word to
	// filter by and not a place for data.
	MaxLabelNameBytes  = 63
	MaxLabelValueBytes = 128

	// MaxTargets of one broadcast: it is written down who gets the signal before
	// the first one does, and more than that is rather a workflow of its own.
	MaxTargets = 100_000

	// DefaultRate signals a second are sent by a broadcast that names no rate, and
	// at most MaxRate: it leaves room for everybody else.
	DefaultRate = 1_000
	MaxRate     = 10_000

	// MaxNameBytes of a signal's or event's name, an execution's or a signal's
	// id, a business key.
	MaxNameBytes = 256

	// MaxLetters dead letters of accepted messages are kept, and MaxLetterBytes
	// of them: enough for a bad night, few enough to look through. The oldest go first.
	MaxLetters     = 10_000
	MaxLetterBytes = 64 << 20

	// MaxRefusedLetters dead letters of messages that were refused are kept, with
	// a bound of their own: whoever sends what nobody wants cannot push out what
	// was accepted.
	MaxRefusedLetters     = 2_000
	MaxRefusedLetterBytes = 16 << 20

	// letterOverhead is what a dead letter weighs beside its texts.
	letterOverhead = 512

	// MaxBookNames names have a row of their own in the books. Names come from
	// the people who write workflows, so a thousand are many; whoever invents
	// more finds them in one row together.
	MaxBookNames = 1_000

	// MaxBranches of one wait: each is an open wait with a row of its own, and
	// a person who reads the wait must still see what it is about.
	MaxBranches = 32

	// MaxCollected signals one wait counts: a vote of a thousand is a survey,
	// which belongs into the system that asks, and the state that holds them is
	// written with every transition.
	MaxCollected = 1000

	// MaxCollectedBytes of payload one wait collects, so that its output, which
	// has all of it, stays below MaxValue.
	MaxCollectedBytes = 512 << 10

	// MaxWeight of a signal and of what is needed: a thousand of them still add
	// up exactly.
	MaxWeight = 1_000_000_000 * One

	// whySignals kept signals are explained one by one, and whySentences of them
	// in the sentence: more is a list, and the buffer has them all.
	whySignals   = 20
	whySentences = 3

	// MaxReminders of one wait: each is a timer that is armed for as long as the
	// wait is open.
	MaxReminders = 32

	// MaxExtensions signals may move the deadline of one wait, so that it has an
	// end also when somebody asks for more time again and again.
	MaxExtensions = 100

	// DefaultExtensions hold where `extend_on` does not say how many.
	DefaultExtensions = 10

	// maxReason is how long the reason of a kept signal may become by what
	// several waits say about it: after some of them nobody reads on.
	maxReason = 2 << 10

	// maxKeptText bytes of room are kept for the next text, and maxKeptNotes for the
	// data of a turn's records: one large payload would pin its memory for ever.
	// maxKeptItems of each list of a state are kept, which is what most executions have.
	maxKeptText  = 64 << 10
	maxKeptNotes = 256 << 10
	maxKeptItems = 32
)
