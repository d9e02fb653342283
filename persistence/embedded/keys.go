package embedded

import (
	"bytes"
	"encoding/binary"
	"errors"

	"github.com/signalbox/signalbox/workflow"
)

// Every key begins with the byte of its family. Then come its parts:
//
//   - an id, any bytes: escaped so that keys sort as the ids do and no id can
//     reach into the next part (00 is written 00 FF, the end is 00 01);
//   - an instant or a number, eight bytes, sorting as the number does;
//   - a past instant, eight bytes, sorting the latest first.
//
// A family is never given another layout: a new one gets a new byte.
const (
	// famMeta holds what the store knows of itself, under the names below.
	famMeta = 'm'

	// famState: execution -> snapshot row, see persistence.AppendSnapshot.
	famState = 's'

	// famRecord: execution, number of the first -> persistence.AppendRecords of
	// the records of one commit. One row for each commit and not for each record: fewer keys.
	famRecord = 'r'

	// famStatus: status, past instant of creation, execution -> nothing. Lists
	// the executions of a status, newest first; all statuses are merged for a
	// list without this filter.
	famStatus = 'i'

	// famWorkflow: workflow, status, past instant of creation, execution ->
	// nothing. The same for the executions of one workflow.
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

	// famReceipt: execution, signal -> persistence.AppendReceipt.
	famReceipt = 'p'

	// famSignal: signal, execution -> nothing. Finds the receipts of a signal.
	famSignal = 'q'

	// famEvent: event -> persistence.AppendEventReceipt.
	famEvent = 'e'

	// famOpen: event -> nothing, while its fan-out is not finished.
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

// The names in famMeta.
var (
	keyFormat  = []byte{famMeta, 'f'} // uint32, layout of the keys and the journal
	keyEpoch   = []byte{famMeta, 'e'} // uint64, number of the last opening
	keyApplied = []byte{famMeta, 'a'} // uint64 number of the last frame applied, int64 open waits
)

// formatNow is the layout that this release writes.
const formatNow = 1

const (
	escape    = 0x00
	escaped   = 0xff
	separator = 0x01
)

func appendID[T string | []byte](key []byte, id T) []byte {
	for i := 0; i < len(id); i++ {
		key = append(key, id[i])
		if id[i] == escape {
			key = append(key, escaped)
		}
	}
	return append(key, escape, separator)
}

func appendNumber(key []byte, n uint64) []byte { return binary.BigEndian.AppendUint64(key, n) }

// appendInstant sorts as the instant does, moments before 1970 first.
func appendInstant(key []byte, i workflow.Instant) []byte {
	return appendNumber(key, uint64(i)^(1<<63))
}

// appendPast sorts the latest instant first.
func appendPast(key []byte, i workflow.Instant) []byte {
	return appendNumber(key, ^(uint64(i) ^ (1 << 63)))
}

func key1(key []byte, family byte, id string) []byte {
	return appendID(append(key, family), id)
}

func key2(key []byte, family byte, a, b string) []byte {
	return appendID(appendID(append(key, family), a), b)
}

func stateKey(key []byte, exec string) []byte { return key1(key, famState, exec) }

func recordKey(key []byte, exec string, first uint64) []byte {
	return appendNumber(key1(key, famRecord, exec), first)
}

func statusKey(key []byte, s workflow.Status, created workflow.Instant, exec string) []byte {
	return appendID(appendPast(key1(key, famStatus, string(s)), created), exec)
}

func workflowKey(key []byte, id string, s workflow.Status, created workflow.Instant, exec string) []byte {
	return appendID(appendPast(key2(key, famWorkflow, id, string(s)), created), exec)
}

func listKey(key []byte, family byte, a, b string, created workflow.Instant, exec string) []byte {
	return appendID(appendPast(key2(key, family, a, b), created), exec)
}

func waitKey(key []byte, name string, created workflow.Instant, exec, wait string) []byte {
	return appendID(appendID(appendInstant(key1(key, famWait, name), created), exec), wait)
}

// keyedKey is the row of a wait that has a key, correlationKey its entry in the index.
func keyedKey(key []byte, name string, created workflow.Instant, exec, wait string) []byte {
	return appendID(appendID(appendInstant(key1(key, famKeyed, name), created), exec), wait)
}

func correlationKey(key []byte, w *workflow.OpenWait, created workflow.Instant, exec string) []byte {
	key = appendID(key2(key, famCorrelation, w.Name, w.Path), w.Key)
	return appendID(appendID(appendInstant(key, created), exec), w.ID)
}

func timerKey(key []byte, due workflow.Instant, exec, timer string) []byte {
	return appendID(appendID(appendInstant(append(key, famTimer), due), exec), timer)
}

func letterAtKey(key []byte, at workflow.Instant, letter string) []byte {
	return appendID(appendPast(append(key, famLetterAt), at), letter)
}

func settledKey(key []byte, received workflow.Instant, event string) []byte {
	return appendID(appendInstant(append(key, famSettled), received), event)
}

func finishedKey(key []byte, at workflow.Instant, exec string) []byte {
	return appendID(appendInstant(append(key, famFinished), at), exec)
}

// after is the least key that is greater than key and all keys that it begins.
// It changes key.
func after(key []byte) []byte {
	for i := len(key) - 1; i >= 0; i-- {
		if key[i] != 0xff {
			key[i]++
			return key[:i+1]
		}
	}
	return nil // nothing is greater: no upper bound
}

// afterAll is after for a key that must not change.
func afterAll(prefix []byte) []byte { return after(bytes.Clone(prefix)) }

var errKey = errors.New("a key that this store does not write")

// parts takes a key apart; the first error stays.
type parts struct {
	rest []byte
	err  error
}

func (p *parts) id() string {
	if p.err != nil {
		return ""
	}
	var room [64]byte
	id := room[:0]
	for i := 0; i+1 < len(p.rest); i++ {
		b := p.rest[i]
		if b != escape {
			id = append(id, b)
			continue
		}
		switch p.rest[i+1] {
		case separator:
			p.rest = p.rest[i+2:]
			return string(id)
		case escaped:
			id = append(id, escape)
			i++
		default:
			p.err = errKey
			return ""
		}
	}
	p.err = errKey
	return ""
}

func (p *parts) number() uint64 {
	if p.err != nil || len(p.rest) < 8 {
		p.err = errKey
		return 0
	}
	n := binary.BigEndian.Uint64(p.rest)
	p.rest = p.rest[8:]
	return n
}

func (p *parts) instant() workflow.Instant { return workflow.Instant(p.number() ^ (1 << 63)) }
func (p *parts) past() workflow.Instant    { return workflow.Instant(^p.number() ^ (1 << 63)) }

// end says whether the key was taken apart well and completely.
func (p *parts) end() error {
	if p.err == nil && len(p.rest) != 0 {
		return errKey
	}
	return p.err
}
