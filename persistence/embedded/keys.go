package embedded

import (
	"bytes"

	"github.com/signalbox/signalbox/persistence/ordered"
	"github.com/signalbox/signalbox/workflow"
)

// Every key begins with the byte of its family. Then come its parts, written as
// persistence/ordered says.
//
// A family is never given another layout: a new one gets a new byte.
const (
	// famMeta holds what the store knows of itself, under the names below.
	famMeta = 'm'

	// famState: execution -> snapshot row, see persistence.AppendSnapshot.
	famState = 's'

	// famRecord: execution, number of the first -> persistence.AppendTurnUnder of the
	// records of one commit, and of its receipts when the row stays, see
	// stayingRecords. One row for each commit and not for each record: fewer keys.
	famRecord = 'r'

	// famStatus was status, past instant of creation, execution -> nothing, until
	// format 3. Nobody writes or reads it any more.
	famStatus = 'i'

	// famWorkflow: workflow, status, past instant of creation, execution ->
	// nothing. Lists the executions of a workflow and status, newest first; all
	// workflows and all statuses are merged for a list without these filters.
	famWorkflow = 'j'

	// famWait: name, instant of the execution's creation, execution, wait ->
	// persistence.AppendWaitRow. Who waits for a name without a key, the oldest
	// first: what an event of that name has to ask one by one.
	famWait = 'w'

	// famKeyed: the same for the waits that have a key, so that nobody passes by
	// a million of them to find the few without.
	famKeyed = 'h'

	// famCorrelation: name, path, key, instant of the execution's creation,
	// execution, wait -> nothing. Finds the waits in famKeyed that a message can
	// satisfy.
	famCorrelation = 'c'

	// famTimer: due instant, execution, timer -> nothing.
	famTimer = 't'

	// famWorking: execution -> nothing, while its last commit said Working.
	famWorking = 'k'

	// famReceipt: execution, signal -> persistence.AppendReceiptUnder, of receipts that
	// do not lie in famRecord. One that famSignal says is elsewhere is out of date.
	famReceipt = 'p'

	// famSignal: signal, execution -> number of the row in famRecord that has the
	// receipt, as a varint; nothing when it lies in famReceipt. Finds the receipts of
	// a signal.
	famSignal = 'q'

	// famEvent: event -> persistence.AppendEventReceipt.
	famEvent = 'e'

	// famOpen: event -> nothing while it is fanned out, a byte while everybody was asked
	// and some have yet to decide.
	famOpen = 'o'

	// famSettled: instant when it was received, event -> nothing, once it is
	// settled: what Sweep forgets.
	famSettled = 'x'

	// famDocument: kind, id -> body.
	famDocument = 'd'

	// famKey: workflow, business key, past instant of creation, execution ->
	// nothing. The executions of a key, newest first, finished ones too.
	famKey = 'b'

	// famLabel: label's name, its value, past instant of creation, execution ->
	// nothing. The same for the executions with a label.
	famLabel = 'l'

	// famUnique: workflow, business key -> execution, while it lives and nobody
	// else may have its key.
	famUnique = 'u'

	// famKept: name, path, key, instant when it was received, event -> nothing,
	// while it is kept. Once with an empty path for all of a name, and once for
	// each part of it that a wait may be indexed on.
	famKept = 'g'

	// famExpiring: instant of the end, event -> name, while it is kept.
	famExpiring = 'n'

	// famBook: name -> the tally of its messages as varints; the name "" stands
	// for the names without a row of their own.
	famBook = 'a'

	// famLetter: dead letter -> persistence.AppendDeadLetter.
	famLetter = 'z'

	// famLetterAt: past instant of its death, dead letter -> what the writer and
	// lists need of it: one byte, 1 for an accepted message, its size as a varint,
	// the letter without its payload.
	famLetterAt = 'y'

	// famFinished: instant of the end, execution -> nothing: what Sweep forgets.
	famFinished = 'f'
)

// briefly are the families whose rows come and go. A row of theirs is set only when
// there is none of its key, so one that is set and then deleted among the newest rows
// was never anywhere else, and leaves nothing to be deleted. What changes such a row
// deletes it first.
var briefly = [256]bool{
	famWorkflow: true, famWait: true, famKeyed: true, famCorrelation: true,
	famTimer: true, famWorking: true, famOpen: true,
}

// The names in famMeta.
var (
	keyFormat  = []byte{famMeta, 'f'} // uint32, layout of the keys and the journal
	keyEpoch   = []byte{famMeta, 'e'} // uint64, number of the last opening
	keyApplied = []byte{famMeta, 'a'} // uint64 number of the last frame applied, int64 open waits
)

// formatNow is the layout that this release writes. Since 2 the rows of records and
// receipts leave out what their keys say. Since 3 there is no famStatus; what older
// ones wrote of it is dropped. Since 4 receipts lie with their records. The rows of
// all of them are read still.
const (
	formatNow      = 4
	formatOneIndex = 3
)

func key1(key []byte, family byte, id string) []byte {
	return ordered.ID(append(key, family), id)
}

func key2(key []byte, family byte, a, b string) []byte {
	return ordered.ID(ordered.ID(append(key, family), a), b)
}

func stateKey(key []byte, exec string) []byte { return key1(key, famState, exec) }

func recordKey(key []byte, exec string, first uint64) []byte {
	return ordered.Number(key1(key, famRecord, exec), first)
}

func workflowKey(key []byte, id string, s workflow.Status, created workflow.Instant, exec string) []byte {
	return ordered.ID(ordered.Past(key2(key, famWorkflow, id, string(s)), created), exec)
}

func listKey(key []byte, family byte, a, b string, created workflow.Instant, exec string) []byte {
	return ordered.ID(ordered.Past(key2(key, family, a, b), created), exec)
}

func waitKey(key []byte, name string, created workflow.Instant, exec, wait string) []byte {
	return ordered.ID(ordered.ID(ordered.Instant(key1(key, famWait, name), created), exec), wait)
}

// keyedKey is the row of a wait that has a key, correlationKey its entry in the index.
func keyedKey(key []byte, name string, created workflow.Instant, exec, wait string) []byte {
	return ordered.ID(ordered.ID(ordered.Instant(key1(key, famKeyed, name), created), exec), wait)
}

func correlationKey(key []byte, w *workflow.OpenWait, created workflow.Instant, exec string) []byte {
	key = ordered.ID(key2(key, famCorrelation, w.Name, w.Path), w.Key)
	return ordered.ID(ordered.ID(ordered.Instant(key, created), exec), w.ID)
}

func timerKey(key []byte, due workflow.Instant, exec, timer string) []byte {
	return ordered.ID(ordered.ID(ordered.Instant(append(key, famTimer), due), exec), timer)
}

func letterAtKey(key []byte, at workflow.Instant, letter string) []byte {
	return ordered.ID(ordered.Past(append(key, famLetterAt), at), letter)
}

func settledKey(key []byte, received workflow.Instant, event string) []byte {
	return ordered.ID(ordered.Instant(append(key, famSettled), received), event)
}

func expiringKey(key []byte, at workflow.Instant, event string) []byte {
	return ordered.ID(ordered.Instant(append(key, famExpiring), at), event)
}

func finishedKey(key []byte, at workflow.Instant, exec string) []byte {
	return ordered.ID(ordered.Instant(append(key, famFinished), at), exec)
}

// afterAll is ordered.After for a key that must not change.
func afterAll(prefix []byte) []byte { return ordered.After(bytes.Clone(prefix)) }

// parts takes a key apart.
type parts = ordered.Parts[[]byte]
