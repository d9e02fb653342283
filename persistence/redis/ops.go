package redis

import (
	"encoding/binary"
	"strconv"

	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/persistence/ordered"
	"github.com/signalbox/signalbox/workflow"
)

// stampBytes stand in front of a snapshot row, so that a script can compare them:
// epoch, version and id of the commit, in big endian.
const stampBytes = 24

func appendStamp(dst []byte, s persistence.Stamp) []byte {
	return ordered.Number(ordered.Number(ordered.Number(dst, s.Epoch), s.Version), s.Commit)
}

func stampOf(b string) persistence.Stamp {
	if len(b) < stampBytes {
		return persistence.Stamp{}
	}
	n := func(at int) uint64 { return binary.BigEndian.Uint64([]byte(b[at : at+8])) }
	return persistence.Stamp{Epoch: n(0), Version: n(8), Commit: n(16)}
}

// ops are what a script does once its checks have passed, see scripts/write.lua.
// They are encoded by whoever submits a write, so that the one writer only sends.
type ops struct {
	part *partition
	keys []string
	args []any
	size int // bytes, roughly

	alone bool // it looks at what others in the same call of the script may write
}

// keyAt is the place of a key among those of its write. Writes that share a call of
// the script share its keys, so it becomes a number only when they are sent.
type keyAt int

// key is the place of a key.
func (o *ops) key(key string) keyAt {
	for i, k := range o.keys {
		if k == key {
			return keyAt(i)
		}
	}
	o.keys = append(o.keys, key)
	o.size += len(key)
	return keyAt(len(o.keys) - 1)
}

func (o *ops) add(op, key string, values ...[]byte) {
	o.args = append(o.args, op, o.key(o.part.key(key)))
	for _, v := range values {
		o.args = append(o.args, v)
		o.size += len(v)
	}
}

func (o *ops) enter(index string, member []byte)    { o.add("Z", index, member) }
func (o *ops) leave(index string, member []byte)    { o.add("z", index, member) }
func (o *ops) put(hash string, field, value []byte) { o.add("H", hash, field, value) }
func (o *ops) drop(hash string, field []byte)       { o.add("h", hash, field) }
func (o *ops) set(key string, value []byte)         { o.add("S", key, value) }
func (o *ops) forget(key string)                    { o.add("D", key) }
func (o *ops) push(list string, value []byte)       { o.add("R", list, value) }
func (o *ops) fold(list string, limit uint64)       { o.add("F", list, ordered.Number(nil, limit)) }

// unless adds what then adds, to be done only when the field is not there yet.
func (o *ops) unless(hash string, field, value []byte, then func()) {
	o.alone = true
	o.add("N", hash, field, value)
	at := len(o.args)
	o.args = append(o.args, "")
	then()
	o.args[at] = strconv.Itoa(len(o.args) - at - 1)
}

// changes adds the entries that a commit drops and writes.
func (o *ops) changes(exec string, c *persistence.Changes) {
	if c.Moved {
		var none persistence.Listing
		if c.Was != none {
			o.leave(keyStatus, statusMember(c.Was.Status, c.Was.CreatedAt, exec))
			o.leave(keyWorkflow, workflowMember(c.Was.WorkflowID, c.Was.Status, c.Was.CreatedAt, exec))
		}
		if c.Now != none {
			o.enter(keyStatus, statusMember(c.Now.Status, c.Now.CreatedAt, exec))
			o.enter(keyWorkflow, workflowMember(c.Now.WorkflowID, c.Now.Status, c.Now.CreatedAt, exec))
		}
	}
	for i := range c.Closed {
		w := &c.Closed[i]
		member := waitMember(w.Name, c.Was.CreatedAt, exec, w.ID)
		o.drop(keyWaitRows, member)
		if w.Key == "" {
			o.leave(keyWaits, member)
			continue
		}
		o.leave(keyKeyed, member)
		o.leave(keyCorrelation, correlationMember(w, c.Was.CreatedAt, exec))
	}
	for i := range c.Opened {
		w := &c.Opened[i]
		member := waitMember(w.Name, c.Now.CreatedAt, exec, w.ID)
		o.put(keyWaitRows, member, persistence.AppendWaitRow(nil, c.Now.WorkflowID, w))
		if w.Key == "" {
			o.enter(keyWaits, member)
			continue
		}
		o.enter(keyKeyed, member)
		o.enter(keyCorrelation, correlationMember(w, c.Now.CreatedAt, exec))
	}
	for i := range c.Disarmed {
		o.leave(keyTimers, timerMember(c.Disarmed[i].Due, exec, c.Disarmed[i].ID))
	}
	for i := range c.Armed {
		o.enter(keyTimers, timerMember(c.Armed[i].Due, exec, c.Armed[i].ID))
	}
	if c.Unkeyed != "" {
		o.leave(keyKeys, listMember(c.Was.WorkflowID, c.Unkeyed, c.Was.CreatedAt, exec))
	}
	if c.Keyed != "" {
		o.enter(keyKeys, listMember(c.Now.WorkflowID, c.Keyed, c.Now.CreatedAt, exec))
	}
	for _, l := range c.Unlabeled {
		o.leave(keyLabels, listMember(l.Name, l.Value, c.Was.CreatedAt, exec))
	}
	for _, l := range c.Labeled {
		o.enter(keyLabels, listMember(l.Name, l.Value, c.Now.CreatedAt, exec))
	}
	if c.Unfinished != 0 {
		o.leave(keyFinished, momentMember(c.Unfinished, exec))
	}
	if c.Finished != 0 {
		o.enter(keyFinished, momentMember(c.Finished, exec))
	}
}

// records adds the row of a commit's records, and folds away what is more than
// workflow.MaxRecords now and then.
func (o *ops) records(exec string, was, now uint64, records []workflow.Record) {
	if len(records) == 0 {
		return
	}
	row := ordered.Number(nil, records[0].Seq)
	o.push(keyRecords+exec, persistence.AppendRecords(row, records))
	if now > workflow.MaxRecords && was/foldStep != now/foldStep {
		o.fold(keyRecords+exec, now-workflow.MaxRecords)
	}
}

func (o *ops) receipt(r *workflow.Receipt) {
	o.put(keyReceipts+r.ExecID, []byte(r.SignalID), persistence.AppendReceipt(nil, r))
	o.enter(keySignals, member2(r.SignalID, r.ExecID))
}

// event adds what an event with that receipt looks like; row is the receipt.
func (o *ops) event(r *workflow.EventReceipt, row []byte) {
	o.put(keyEvents, []byte(r.Event.ID), row)
	o.eventLists(r)
}

func (o *ops) eventLists(r *workflow.EventReceipt) {
	id := r.Event.ID
	if r.Event.ExpiresAt != 0 {
		o.keeping(&r.Event, r.Fate != workflow.FateBuffered)
	}
	if r.Fate == workflow.FateBuffered {
		o.leave(keyOpen, member1(id))
		o.leave(keySettled, momentMember(r.Event.ReceivedAt, id))
		return
	}
	if r.Fate.Final() {
		o.leave(keyOpen, member1(id))
		o.enter(keySettled, momentMember(r.Event.ReceivedAt, id))
		return
	}
	o.enter(keyOpen, member1(id))
	o.leave(keySettled, momentMember(r.Event.ReceivedAt, id))
	if r.Standing() == workflow.StandsUndecided {
		o.put(keyUndecided, []byte(id), []byte{'1'})
	}
}
