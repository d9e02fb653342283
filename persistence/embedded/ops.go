package embedded

import (
	"encoding/binary"

	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// The kinds of operation in pebble's batch representation, which is part of its
// file format: [kind 1][length, key][length, value], lengths as varints.
const (
	opDelete      = 0
	opSet         = 1
	opDeleteRange = 15
)

// batchHeader is what pebble's batch representation begins with: a number
// that pebble fills in, and the count of operations, both little endian.
const (
	batchHeader = 12
	batchCount  = 8
)

// ops are operations in pebble's batch representation, without its header. They
// are encoded by whoever submits a write, so that the one writer only copies them.
type ops struct {
	buf   []byte
	count uint32
	key   []byte // room for the key that is being built
	val   []byte // room for the value that is being built
}

func (o *ops) reset() {
	o.buf, o.count = o.buf[:0], 0
}

// spare reports whether the buffers are small enough to be kept.
func (o *ops) spare() bool { return cap(o.buf)+cap(o.val) <= keepBuffer }

func (o *ops) bytes(b []byte) {
	o.buf = binary.AppendUvarint(o.buf, uint64(len(b)))
	o.buf = append(o.buf, b...)
}

func (o *ops) set(key, value []byte) {
	o.key = key
	o.buf = append(o.buf, opSet)
	o.bytes(key)
	o.bytes(value)
	o.count++
}

func (o *ops) delete(key []byte) {
	o.key = key
	o.buf = append(o.buf, opDelete)
	o.bytes(key)
	o.count++
}

func (o *ops) deleteRange(from, to []byte) {
	o.buf = append(o.buf, opDeleteRange)
	o.bytes(from)
	o.bytes(to)
	o.count++
}

// changes adds the index rows that a commit drops and writes.
func (o *ops) changes(exec string, c *persistence.Changes) {
	if c.Moved {
		var none persistence.Listing
		if c.Was != none {
			o.delete(workflowKey(o.key[:0], c.Was.WorkflowID, c.Was.Status, c.Was.CreatedAt, exec))
		}
		if c.Now != none {
			o.set(workflowKey(o.key[:0], c.Now.WorkflowID, c.Now.Status, c.Now.CreatedAt, exec), nil)
		}
	}
	for i := range c.Closed {
		o.closed(exec, c.Was.CreatedAt, &c.Closed[i])
	}
	for i := range c.Opened {
		if c.Redone {
			o.closed(exec, c.Was.CreatedAt, &c.Opened[i]) // see briefly
		}
		o.opened(exec, c, &c.Opened[i])
	}
	for i := range c.Disarmed {
		o.delete(timerKey(o.key[:0], c.Disarmed[i].Due, exec, c.Disarmed[i].ID))
	}
	for i := range c.Armed {
		o.set(timerKey(o.key[:0], c.Armed[i].Due, exec, c.Armed[i].ID), nil)
	}
	if c.Unkeyed != "" {
		o.delete(listKey(o.key[:0], famKey, c.Was.WorkflowID, c.Unkeyed, c.Was.CreatedAt, exec))
	}
	if c.Keyed != "" {
		o.set(listKey(o.key[:0], famKey, c.Now.WorkflowID, c.Keyed, c.Now.CreatedAt, exec), nil)
	}
	for _, l := range c.Unlabeled {
		o.delete(listKey(o.key[:0], famLabel, l.Name, l.Value, c.Was.CreatedAt, exec))
	}
	for _, l := range c.Labeled {
		o.set(listKey(o.key[:0], famLabel, l.Name, l.Value, c.Now.CreatedAt, exec), nil)
	}
	if c.Released != "" {
		o.delete(key2(o.key[:0], famUnique, c.Was.WorkflowID, c.Released))
	}
	if c.Claimed != "" {
		o.val = append(o.val[:0], exec...)
		o.set(key2(o.key[:0], famUnique, c.Now.WorkflowID, c.Claimed), o.val)
	}
	if c.Unfinished != 0 {
		o.delete(finishedKey(o.key[:0], c.Unfinished, exec))
	}
	if c.Finished != 0 {
		o.set(finishedKey(o.key[:0], c.Finished, exec), nil)
	}
}

// closed drops the rows of a wait, opened writes them.
func (o *ops) closed(exec string, created workflow.Instant, w *workflow.OpenWait) {
	if w.Key == "" {
		o.delete(waitKey(o.key[:0], w.Name, created, exec, w.ID))
		return
	}
	o.delete(keyedKey(o.key[:0], w.Name, created, exec, w.ID))
	o.delete(correlationKey(o.key[:0], w, created, exec))
}

func (o *ops) opened(exec string, c *persistence.Changes, w *workflow.OpenWait) {
	o.val = persistence.AppendWaitRow(o.val[:0], c.Now.WorkflowID, w)
	if w.Key == "" {
		o.set(waitKey(o.key[:0], w.Name, c.Now.CreatedAt, exec, w.ID), o.val)
		return
	}
	o.set(keyedKey(o.key[:0], w.Name, c.Now.CreatedAt, exec, w.ID), o.val)
	o.set(correlationKey(o.key[:0], w, c.Now.CreatedAt, exec), nil)
}

// turn adds the row of a commit's records, with its receipts in it unless the row may be
// folded away, and folds away what is more than workflow.MaxRecords now and then.
func (o *ops) turn(exec string, was, now uint64, records []workflow.Record, receipts []workflow.Receipt) {
	if len(records) == 0 || records[0].Seq > stayingRecords {
		o.receipts(receipts)
		receipts = nil
	}
	if len(records) == 0 {
		return
	}
	o.val = persistence.AppendTurnUnder(o.val[:0], exec, records, receipts)
	o.set(recordKey(o.key[:0], exec, records[0].Seq), o.val)
	o.val = binary.AppendUvarint(o.val[:0], records[0].Seq)
	for i := range receipts {
		o.set(key2(o.key[:0], famSignal, receipts[i].SignalID, exec), o.val)
	}
	if now > workflow.MaxRecords+stayingRecords && was/foldStep != now/foldStep {
		o.deleteRange(recordKey(nil, exec, stayingRecords+1), recordKey(nil, exec, now-workflow.MaxRecords))
	}
}

// receipts adds receipts in rows of their own, family by family: rows that follow one
// another find their places in the sorted rows together.
func (o *ops) receipts(all []workflow.Receipt) {
	for i := range all {
		r := &all[i]
		o.val = persistence.AppendReceiptUnder(o.val[:0], r)
		o.set(key2(o.key[:0], famReceipt, r.ExecID, r.SignalID), o.val)
	}
	for i := range all {
		o.set(key2(o.key[:0], famSignal, all[i].SignalID, all[i].ExecID), nil)
	}
}

// accepted adds the rows of an event that is new.
func (o *ops) accepted(r *workflow.EventReceipt) {
	o.val = persistence.AppendEventReceipt(o.val[:0], r)
	o.set(key1(o.key[:0], famEvent, r.Event.ID), o.val)
	o.set(key1(o.key[:0], famOpen, r.Event.ID), nil)
}

// settled adds the rows of an event that is new and is settled already.
func (o *ops) settled(r *workflow.EventReceipt) {
	o.val = persistence.AppendEventReceipt(o.val[:0], r)
	o.set(key1(o.key[:0], famEvent, r.Event.ID), o.val)
	o.set(settledKey(o.key[:0], r.Event.ReceivedAt, r.Event.ID), nil)
}

// event adds the rows of an event that is known, with its receipt of now.
func (o *ops) event(r *workflow.EventReceipt) {
	id := r.Event.ID
	o.val = persistence.AppendEventReceipt(o.val[:0], r)
	o.set(key1(o.key[:0], famEvent, id), o.val)
	o.delete(key1(o.key[:0], famOpen, id)) // see briefly
	if r.Fate.Final() {
		o.set(settledKey(o.key[:0], r.Event.ReceivedAt, id), nil)
		return
	}
	o.delete(settledKey(o.key[:0], r.Event.ReceivedAt, id))
	if r.Fate == workflow.FateBuffered {
		o.keeping(&r.Event, false)
	} else {
		var undecided []byte
		if r.Standing() == workflow.StandsUndecided {
			undecided = []byte{1}
		}
		o.set(key1(o.key[:0], famOpen, id), undecided)
	}
}
