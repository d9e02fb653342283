package redis

import (
	"hash/fnv"
	"strconv"

	"github.com/signalbox/signalbox/persistence/ordered"
	"github.com/signalbox/signalbox/workflow"
)

// Every key begins with the prefix of the store and the hash tag of a partition:
//
//	signalbox:{7}:s:order-17
//
// Redis Cluster places a key by its hash tag alone, so all keys of a partition
// are on one node, where a script may change them together. The tag is the first
// thing in braces, so an id may hold any bytes.
//
// An index is a sorted set whose scores are all zero: Redis then sorts its
// members by their bytes. How the parts of a member are written is told in
// persistence/ordered.
//
// A key is never given another layout: a new one gets a new letter.
const (
	// keyMeta is the only key outside of the partitions, under the hash tag "meta".
	// A hash, see the fields below: what the store knows of itself.
	keyMeta = "store"

	// keyMark is a hash in each partition: which store it belongs to, how often it
	// was written, and the last mark of each writer. Every script looks here first.
	keyMark = "m"

	// keyState + execution: a string, the stamp of the commit in 24 bytes and the
	// snapshot row, see persistence.AppendSnapshot.
	keyState = "s:"

	// keyRecords + execution: a list. Each element is what one commit wrote: the
	// number of its first record in 8 bytes, and persistence.AppendRecords.
	keyRecords = "r:"

	// keyReceipts + execution: a hash, signal -> persistence.AppendReceipt.
	keyReceipts = "p:"

	// keyStatus: index of status, past instant of creation, execution. Lists the
	// executions of a status, newest first; all statuses are merged for a list
	// without this filter.
	keyStatus = "i"

	// keyWorkflow: index of workflow, status, past instant of creation, execution.
	keyWorkflow = "j"

	// keyWaits: index of name, instant of the execution's creation, execution, wait.
	// Who waits for a name without a key, the oldest first: what an event of that
	// name has to ask one by one. keyKeyed: the same for the waits that have a key.
	// keyWaitRows: a hash, member of either -> persistence.AppendWaitRow.
	keyWaits    = "w"
	keyKeyed    = "h"
	keyWaitRows = "wr"

	// keyCorrelation: index of name, path, key, instant of the execution's creation,
	// execution, wait. Finds the waits in keyKeyed that a message can satisfy.
	keyCorrelation = "c"

	// keyKeys: index of workflow, business key, past instant of creation, execution.
	// The executions of a key, newest first, finished ones too.
	keyKeys = "n"

	// keyLabels: index of label's name, its value, past instant of creation, execution.
	keyLabels = "l"

	// keyClaims: a hash, workflow and business key -> who has it: the id of the commit
	// that claimed it in 8 bytes, when that was by the clock of Redis in 8 bytes, the
	// execution. It is in the partition of workflow and key, see claims.go.
	keyClaims = "u"

	// keyBarred + execution: a set of ids of commits that came too late for their
	// claim and must not bring the execution to life any more. It expires.
	keyBarred = "z:"

	// keyTimers: index of due instant, execution, timer.
	keyTimers = "t"

	// keyWorking: index of execution, while its last commit said Working.
	keyWorking = "k"

	// keySignals: index of signal, execution. Finds the receipts of a signal.
	keySignals = "q"

	// keyFinished: index of the instant of the end, execution: what Sweep forgets.
	keyFinished = "f"

	// keyEvents: a hash, event -> the letter of its column in the books, see columnOf,
	// and persistence.AppendEventReceipt. An event's partition is that of its own id.
	keyEvents = "e"

	// keyOpen: index of event, while its fan-out is not finished.
	keyOpen = "o"

	// keyUndecided: a hash, event -> "1", of those in keyOpen about which everybody was
	// asked and some have yet to decide.
	keyUndecided = "od"

	// keySettled: index of the instant when it was received, event, once it is
	// settled: what Sweep forgets.
	keySettled = "x"

	// The events that are kept for a wait that opens later. keyExpiring: index of the
	// instant of its end, event; an event is kept while it stands here. keyKept: index of
	// name, path, key, instant when it was received, event: once with an empty path and
	// key, and once for each part of its payload that can be a key.
	keyExpiring = "v"
	keyKept     = "g"

	// keyTakers: a hash, event -> who is taking it, like a claim in keyClaims. keyTaken:
	// a hash in the partition of the execution, event -> the id of the commit that took
	// it in 8 bytes, the execution, the receipt as in keyEvents; until it has been brought
	// to the event. See takes.go; neither is used with one partition.
	keyTakers = "gt"
	keyTaken  = "bt"

	// keyKeeps: a string that is there once an event was kept in any partition.
	keyKeeps = "gk"

	// keyOutbox: a hash, event -> the same. Events that a commit emitted and
	// whose home is another partition, until they have been carried there.
	keyOutbox = "b"

	// keyBooks: a hash, name -> how many messages of it were accepted, and are
	// consumed, buffered, expired and dead, as decimal numbers; the name "" stands for
	// the names without a row of their own. What the partition's own messages did; the
	// sum over all partitions is what counts.
	keyBooks = "a"

	// The dead letters, in the partition of the execution or, without one, of the
	// message. keyLetterIDs: a hash, id -> class, size in ten digits, member.
	// keyLetters: a hash, member -> persistence.AppendDeadLetter; keyLetterHeads: the
	// same without the payload. keyLetterBytes: a hash, class -> sum of the sizes.
	// keyRefused and keyAccepted: index of past instant of the death, id; of class 0 and 1.
	keyLetterIDs   = "yi"
	keyLetters     = "yl"
	keyLetterHeads = "yh"
	keyLetterBytes = "yb"
	keyRefused     = "y0"
	keyAccepted    = "y1"

	// keyDocuments: a hash, member of the index -> body. keyDocumentIDs: index of
	// kind, id. All documents of a kind are in the partition of the kind.
	keyDocuments   = "d"
	keyDocumentIDs = "dk"
)

// The fields of keyMeta and keyMark. A writer's mark is fieldWriter and its
// epoch; the field of keyMeta that counts epochs is known to begin.lua alone.
const (
	fieldFormat      = "format"      // layout of the keys
	fieldIncarnation = "incarnation" // drawn when the store was made; in keyMark too
	fieldPartitions  = "partitions"  // chosen when the store was made
	fieldReady       = "ready"       // 1 once all partitions are marked
	fieldWrites      = "writes"      // of the partition, so far
	fieldWriter      = "writer:"
)

// formatNow is the layout that this release writes.
const formatNow = 1

// metaTag is the hash tag of keyMeta.
const metaTag = "meta"

func metaKey(prefix string) string { return prefix + "{" + metaTag + "}:" + keyMeta }

// partition is one part of the store, on one node of a Redis Cluster.
type partition struct {
	number int
	base   string // what all of its keys begin with
	mark   string
}

func (p *partition) key(name string) string       { return p.base + name }
func (p *partition) keyOf(name, id string) string { return p.base + name + id }

// slots is how many slots a Redis Cluster has.
const slots = 16384

// partitionsOf lays out that many partitions. Their tags are the least numbers
// whose slots lie in equal shares of all slots, so that a Redis Cluster which
// divides the slots evenly divides the partitions evenly.
func partitionsOf(prefix string, count int) []*partition {
	parts := make([]*partition, count)
	for n, left := 0, count; left > 0; n++ {
		tag := strconv.Itoa(n)
		share := int(slotOf(tag)) * count / slots
		if parts[share] != nil {
			continue
		}
		base := prefix + "{" + tag + "}:"
		parts[share] = &partition{number: share, base: base, mark: base + keyMark}
		left--
	}
	return parts
}

// slotOf is the slot that Redis Cluster gives a hash tag: CRC-16 of the XMODEM
// kind, of its bits as many as there are slots.
func slotOf(tag string) uint16 {
	var crc uint16
	for i := range len(tag) {
		crc ^= uint16(tag[i]) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return crc % slots
}

// homeOf is the partition of an id, for ever: it is part of the format.
func homeOf(parts []*partition, id string) *partition {
	h := fnv.New64a()
	h.Write([]byte(id)) // a hash never fails
	return parts[h.Sum64()%uint64(len(parts))]
}

func member1(id string) []byte   { return ordered.ID(nil, id) }
func member2(a, b string) []byte { return ordered.ID(ordered.ID(nil, a), b) }

func statusMember(s workflow.Status, created workflow.Instant, exec string) []byte {
	return ordered.ID(ordered.Past(member1(string(s)), created), exec)
}

func workflowMember(id string, s workflow.Status, created workflow.Instant, exec string) []byte {
	return ordered.ID(ordered.Past(member2(id, string(s)), created), exec)
}

// listMember is a member of keyKeys and keyLabels.
func listMember(a, b string, created workflow.Instant, exec string) []byte {
	return ordered.ID(ordered.Past(member2(a, b), created), exec)
}

func waitMember(name string, created workflow.Instant, exec, wait string) []byte {
	return ordered.ID(ordered.ID(ordered.Instant(member1(name), created), exec), wait)
}

func correlationMember(w *workflow.OpenWait, created workflow.Instant, exec string) []byte {
	member := ordered.Instant(ordered.ID(member2(w.Name, w.Path), w.Key), created)
	return ordered.ID(ordered.ID(member, exec), w.ID)
}

func keptMember(ev *workflow.Event, path, key string) []byte {
	return ordered.ID(ordered.Instant(ordered.ID(member2(ev.Name, path), key), ev.ReceivedAt), ev.ID)
}

func timerMember(due workflow.Instant, exec, timer string) []byte {
	return ordered.ID(ordered.ID(ordered.Instant(nil, due), exec), timer)
}

// momentMember is a member of keyFinished and keySettled.
func momentMember(at workflow.Instant, id string) []byte {
	return ordered.ID(ordered.Instant(nil, at), id)
}

// deathMember is a member of keyRefused and keyAccepted.
func deathMember(at workflow.Instant, id string) []byte {
	return ordered.ID(ordered.Past(nil, at), id)
}

// parts takes a member apart.
type parts = ordered.Parts[string]
