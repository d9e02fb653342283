package storetest

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
	"pgregory.net/rapid"
)

// RunModel does random things to a store and to a model of a few maps, and compares
// all that can be read. It opens and closes the store thousands of times, so it
// wants one whose commits are quick.
func RunModel(t *testing.T, fresh func(t *testing.T) Opener) {
	rapid.Check(t, func(rt *rapid.T) {
		m := newModel(rt, fresh(t))
		defer func() {
			if err := m.store.Close(); err != nil {
				rt.Errorf("close: %v", err)
			}
		}()
		rt.Repeat(map[string]func(*rapid.T){
			"commit":  m.commit,
			"stale":   m.stale,
			"event":   m.event,
			"settle":  m.settle,
			"release": m.release,
			"put":     m.put,
			"sweep":   m.sweep,
			"reopen":  m.reopen,
			"":        m.compare,
		})
	})
}

// model is what a store should remember.
type model struct {
	open  Opener
	store persistence.Store

	execs     map[string]*remembered
	events    map[string]*workflow.EventReceipt
	documents map[string]string
	books     map[string]workflow.Tally
	letters   map[string]workflow.DeadLetter
}

type remembered struct {
	state    *workflow.State
	epoch    uint64
	records  []workflow.Record
	receipts map[string]workflow.Receipt
	working  bool
}

func newModel(rt *rapid.T, open Opener) *model {
	m := &model{
		open: open, execs: map[string]*remembered{}, events: map[string]*workflow.EventReceipt{}, documents: map[string]string{},
		books: map[string]workflow.Tally{}, letters: map[string]workflow.DeadLetter{},
	}
	m.start(rt)
	return m
}

func (m *model) start(rt *rapid.T) {
	s, err := m.open()
	if err != nil {
		rt.Fatalf("open: %v", err)
	}
	m.store = s
}

func (m *model) reopen(rt *rapid.T) {
	if err := m.store.Close(); err != nil {
		rt.Fatalf("close: %v", err)
	}
	m.start(rt)
}

var (
	someExecs  = rapid.SampledFrom([]string{"a", "a\x00", "b", "ab", "\xff"})
	someNames  = rapid.SampledFrom([]string{"approve", "approve2", "pay"})
	someIDs    = rapid.SampledFrom([]string{"x", "x\x00y", "z"})
	someStatus = rapid.SampledFrom([]workflow.Status{workflow.Running, workflow.Waiting, workflow.Paused, workflow.Success, workflow.Failed})
	someKeys   = rapid.SampledFrom([]string{"", "k", "k\x00", "key"})
	someFates  = rapid.SampledFrom([]workflow.Fate{workflow.FateBuffered, workflow.FateConsumed, workflow.FateExpired, workflow.FateDead})
	moments    = rapid.Int64Range(0, 20)
)

// state draws what follows a state, or a first one.
func (m *model) state(rt *rapid.T, id string, was *workflow.State) *workflow.State {
	now := created(id, int(moments.Draw(rt, "created")))
	if was == nil {
		now.Key = someKeys.Draw(rt, "key")
		now.Unique = now.Key != "" && rapid.Bool().Draw(rt, "unique")
		for _, value := range rapid.SliceOfN(someIDs, 0, 1).Draw(rt, "labels") {
			now.Labels = []workflow.Label{{Name: "l", Value: value}}
		}
	} else {
		copied := *was
		now = &copied
		now.Version += rapid.Uint64Range(1, 3).Draw(rt, "versions")
		now.Seq += rapid.Uint64Range(0, 3).Draw(rt, "records")
	}
	now.Status = someStatus.Draw(rt, "status")
	now.Paused = now.Status == workflow.Paused
	now.Waits, now.Timers, now.FinishedAt = nil, nil, 0
	if now.Status.Finished() {
		now.FinishedAt = begin + workflow.Instant(moments.Draw(rt, "finished"))
		return now
	}
	waiting(rapid.SliceOfN(someNames, 0, 3).Draw(rt, "waits")...)(now)
	now.Status = someStatus.Filter(func(s workflow.Status) bool { return !s.Finished() && (s == workflow.Paused) == now.Paused }).Draw(rt, "status")
	for i := range now.Waits {
		if key := someCorrelations.Draw(rt, "correlation"); key != "" {
			now.Waits[i].Path, now.Waits[i].Key = somePaths.Draw(rt, "path"), key
		}
		now.Waits[i].LastReason = rapid.SampledFrom([]string{"", "no"}).Draw(rt, "reason")
	}
	armed(rapid.SliceOfN(rapid.IntRange(0, 20), 0, 3).Draw(rt, "timers")...)(now)
	return now
}

func (m *model) commit(rt *rapid.T) {
	id := someExecs.Draw(rt, "execution")
	known := m.execs[id]
	if known == nil {
		known = &remembered{receipts: map[string]workflow.Receipt{}}
	}
	c := &persistence.Commit{
		ExecID: id, Was: known.state, Now: m.state(rt, id, known.state),
		Epoch: known.epoch + rapid.Uint64Range(0, 1).Draw(rt, "epoch"), Working: rapid.Bool().Draw(rt, "working"), Worked: known.working,
	}
	if known.state != nil {
		c.Expect = known.state.Version
		c.Records = history(known.state.Seq, c.Now.Seq)
	} else {
		c.Records = history(0, c.Now.Seq)
	}
	for _, signal := range rapid.SliceOfNDistinct(someIDs, 0, 2, rapid.ID).Draw(rt, "signals") {
		r := receiptOf(signal, id, someFates.Draw(rt, "fate"))
		r.Name = someNames.Draw(rt, "name")
		if known, ok := known.receipts[signal]; ok {
			r.Was, r.Name = known.Fate, known.Name
		}
		l := workflow.LetterOfSignal(&workflow.Signal{ID: signal, ExecID: id, Name: r.Name}, "orders", workflow.CauseExpired, "", begin+workflow.Instant(moments.Draw(rt, "died")))
		if rapid.Bool().Draw(rt, "revived") {
			c.Revived = append(c.Revived, l.ID)
		}
		if r.Fate == workflow.FateDead {
			l.Accepted = true
			c.Dead = append(c.Dead, l)
		}
		r.Answer.Reason = rapid.SampledFrom([]string{"", "because", `"quoted"`}).Draw(rt, "reason")
		c.Receipts = append(c.Receipts, r)
	}
	for _, ev := range rapid.SliceOfN(someIDs, 0, 2).Draw(rt, "events") {
		c.Events = append(c.Events, eventOf(ev))
	}
	kept := m.take(rt, c)
	err := wait(rt, submitTo(rt, m.store, c))
	claims := c.Now.Unique && !c.Now.Status.Finished() && (known.state == nil || known.state.Status.Finished())
	if holder := m.holder(c.Now.Key); holder != "" && claims {
		var taken *persistence.KeyTaken
		if !errors.As(err, &taken) || taken.Holder != holder {
			rt.Fatalf("commit with the key of %q: got error %v, want that it is taken", holder, err)
		}
		return
	}
	if !kept {
		if !errors.Is(err, persistence.ErrConflict) {
			rt.Fatalf("commit that takes an event which is not kept: got error %v, want a conflict", err)
		}
		return
	}
	if err != nil {
		rt.Fatalf("commit: %v", err)
	}
	m.committed(known, c)
}

// committed remembers a commit that the store took.
func (m *model) committed(known *remembered, c *persistence.Commit) {
	for _, r := range c.Taken {
		m.moveEvent(r)
	}
	known.state, known.epoch, known.working = c.Now, c.Epoch, c.Working
	known.records = append(known.records, c.Records...)
	for _, r := range c.Receipts {
		m.count(r.Name, r.Was, r.Fate)
		r.Was = ""
		known.receipts[r.SignalID] = r
	}
	for _, revived := range c.Revived {
		delete(m.letters, revived)
	}
	for _, l := range c.Dead {
		m.letters[l.ID] = l
	}
	m.execs[c.ExecID] = known
	for _, ev := range c.Events {
		if m.events[ev.ID] == nil {
			m.events[ev.ID] = persistence.Accepted(ev)
			m.count(ev.Name, "", workflow.FateAccepted)
		}
	}
}

// count keeps the model's books.
func (m *model) count(name string, was, now workflow.Fate) {
	t := m.books[name]
	if was != now {
		t.Move(was, now)
		m.books[name] = t
	}
}

// holder is the live execution that has a unique key, "" for none.
func (m *model) holder(key string) string {
	for id, e := range m.execs {
		if e.state.Key == key && e.state.Unique && !e.state.Status.Finished() {
			return id
		}
	}
	return ""
}

// stale submits what must be refused.
func (m *model) stale(rt *rapid.T) {
	id := someExecs.Draw(rt, "execution")
	known := m.execs[id]
	var was *workflow.State
	epoch := uint64(9999)
	switch {
	case known == nil:
		was = created(id, 0)
	case known.epoch > 0 && rapid.Bool().Draw(rt, "old epoch"):
		was, epoch = known.state, known.epoch-1
	default:
		was = next(known.state, 1, nil).Now
	}
	c := next(was, 1, nil)
	c.Epoch = epoch
	if err := wait(rt, submitTo(rt, m.store, c)); !errors.Is(err, persistence.ErrConflict) {
		rt.Fatalf("stale commit: got error %v, want a conflict", err)
	}
}

func (m *model) event(rt *rapid.T) {
	ev := eventOf(someIDs.Draw(rt, "event"))
	ev.ReceivedAt = begin + workflow.Instant(moments.Draw(rt, "received"))
	ev.ExpiresAt = ev.ReceivedAt + workflow.Instant(moments.Draw(rt, "ttl"))
	ev.Name = someNames.Draw(rt, "name")
	ev.Payload = workflow.Value(rapid.SampledFrom([]string{`{}`, `{"order_id":"A"}`, `{"order_id":"B","c":{"d":[1]}}`, `{"order_id":1}`}).Draw(rt, "payload"))
	type answer struct {
		r     *workflow.EventReceipt
		known bool
		err   error
	}
	answers := make(chan answer, 1)
	m.store.AcceptEvent(ev, func(r *workflow.EventReceipt, known bool, err error) { answers <- answer{r, known, err} })
	a := wait(rt, answers)
	stored, known := m.events[ev.ID]
	if !known {
		stored = persistence.Accepted(ev)
		m.events[ev.ID] = stored
		m.count(ev.Name, "", workflow.FateAccepted)
	}
	if a.err != nil || a.known != known {
		rt.Fatalf("accept: known %v, error %v, want known %v", a.known, a.err, known)
	}
	same(rt, "accepted event", a.r, stored)
}

func (m *model) settle(rt *rapid.T) {
	if len(m.events) == 0 {
		rt.Skip("no event")
	}
	id := rapid.SampledFrom(slices.Sorted(maps.Keys(m.events))).Draw(rt, "event")
	r := *m.events[id]
	fates := []workflow.Fate{workflow.FateAccepted, workflow.FateConsumed, workflow.FateDead}
	if r.Event.ExpiresAt != 0 {
		fates = append(fates, workflow.FateBuffered)
	}
	r.Fate = rapid.SampledFrom(fates).Draw(rt, "fate")
	answer := make(chan error, 1)
	m.store.SettleEvent(m.events[id].Standing(), &r, func(err error) { answer <- err })
	if err := wait(rt, answer); err != nil {
		rt.Fatalf("settle: %v", err)
	}
	m.count(r.Event.Name, m.events[id].Fate, r.Fate)
	m.events[id] = &r
	l := workflow.LetterOfEvent(&r)
	delete(m.letters, l.ID)
	if r.Fate == workflow.FateDead {
		m.letters[l.ID] = l
	}
}

func (m *model) put(rt *rapid.T) {
	id := someIDs.Draw(rt, "document")
	var body []byte
	if rapid.Bool().Draw(rt, "delete") {
		delete(m.documents, id)
	} else {
		body = rapid.SliceOfN(rapid.Byte(), 1, 8).Draw(rt, "body")
		m.documents[id] = string(body)
	}
	if err := m.store.PutDocument(context.Background(), "kind", id, body); err != nil {
		rt.Fatalf("put: %v", err)
	}
}

func (m *model) sweep(rt *rapid.T) {
	before := begin + workflow.Instant(moments.Draw(rt, "before"))
	want := 0
	for id, e := range m.execs {
		if e.state.Status.Finished() && e.state.FinishedAt < before {
			delete(m.execs, id)
			want++
		}
	}
	for id, r := range m.events {
		if r.Fate.Final() && r.Event.ReceivedAt < before {
			delete(m.events, id)
			want++
		}
	}
	got, err := m.store.Sweep(context.Background(), before, 100)
	if err != nil || got != want {
		rt.Fatalf("sweep forgot %d, %v, want %d", got, err, want)
	}
}
