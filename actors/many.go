package actors

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/signalbox/signalbox/workflow"
)

// parcel brings several deliveries of one execution as one message: they are
// folded in their order, and as few commits as possible serve them.
type parcel struct {
	execID string
	items  []*Deliver
}

// TellAll delivers without waiting, like Tell. Those for the same execution
// travel together, in the order in which they are given.
func (s *System) TellAll(all []*Deliver) {
	parcels := make(map[string]*parcel)
	var order []*parcel
	for _, d := range all {
		p := parcels[d.ExecID]
		if p == nil {
			p = &parcel{execID: d.ExecID}
			parcels[d.ExecID] = p
			order = append(order, p)
		}
		p.items = append(p.items, d)
	}
	for _, p := range order {
		if len(p.items) == 1 || !s.here(p.execID) {
			for _, d := range p.items {
				s.Tell(d)
			}
			continue
		}
		if at := s.shard(p.execID); !at.give(p.execID, p, false) {
			s.actors.Root.Send(at.pid, p)
		}
	}
}

// crowd is many deliveries that somebody waits for together.
type crowd struct {
	deliveries []Deliver
	all        []*Deliver
	replies    []Reply
	say        []func(Reply) // what each delivery is answered by, made once
	left       atomic.Int64
	done       chan struct{} // has a token when nobody is left
}

// crowds lend the room of those that were answered.
var crowds = sync.Pool{New: func() any { return new(crowd) }}

// expect makes room for so many deliveries. The channel is a new one: one that was
// lent belongs to the bubble of the test that made it.
func (c *crowd) expect(n int) {
	c.deliveries = slices.Grow(c.deliveries, n)[:n]
	c.all = slices.Grow(c.all, n)[:n]
	c.replies = slices.Grow(c.replies, n)[:n]
	for i := len(c.say); i < n; i++ {
		c.say = append(c.say, func(r Reply) {
			c.replies[i] = r
			if c.left.Add(-1) == 0 {
				c.done <- struct{}{}
			}
		})
	}
	c.left.Store(int64(n))
	c.done = make(chan struct{}, 1)
}

// over gives the room back once everybody was answered: an answer is the last that
// happens to a delivery.
func (c *crowd) over() {
	clear(c.deliveries)
	clear(c.replies)
	crowds.Put(c)
}

// AskAll delivers n inputs from outside, waits until all have their reply, and shows
// the replies in their order; each is valid during the call. Delivery and reply are
// not to be kept. When the context ends first, no reply is shown, and the outcome of
// each input is unknown to the caller.
func (s *System) AskAll(ctx context.Context, n int, fill func(int, *Deliver), show func(*Reply)) error {
	if err := s.admit(n); err != nil {
		return err
	}
	if n == 0 {
		return nil
	}
	c := crowds.Get().(*crowd)
	c.expect(n)
	until := s.until(ctx)
	for i := range c.deliveries {
		d := &c.deliveries[i]
		fill(i, d)
		d.Until, d.Reply, c.all[i] = until, c.say[i], d
	}
	s.TellAll(c.all)
	select {
	case <-c.done:
		s.admitted.Add(-int64(n))
	case <-ctx.Done():
		go func() { // the late replies still come, into room that is left to them
			<-c.done
			s.admitted.Add(-int64(n))
		}()
		return timedOut(ctx.Err())
	}
	for i := range c.replies {
		show(&c.replies[i])
	}
	c.over()
	return nil
}

// admit takes so many places among the inputs from outside, or says why not.
func (s *System) admit(n int) error {
	if s.stopping.Load() {
		return stopping()
	}
	if err := s.Store.Health(); err != nil {
		return unavailable(err)
	}
	if s.admitted.Add(int64(n)) > MaxAdmitted {
		s.admitted.Add(-int64(n))
		return overloaded()
	}
	return nil
}

// Events accepts many events, as Event does one; they share the syncs of the
// disk. The results are in the order of the events. When the context ends first,
// the outcome of each is unknown to the caller.
func (s *System) Events(ctx context.Context, events []workflow.Event) ([]workflow.EventResult, error) {
	if err := s.admit(len(events)); err != nil {
		return nil, err
	}
	if len(events) == 0 {
		return nil, nil
	}
	results := make([]workflow.EventResult, len(events))
	done := make(chan struct{})
	var left atomic.Int64
	left.Store(int64(len(events)))
	for i := range events {
		s.accept(events[i], false, func(stored *workflow.EventReceipt, known bool, err error) {
			results[i] = workflow.EventResult{Stored: stored, Known: known, Err: err}
			if left.Add(-1) == 0 {
				s.admitted.Add(-int64(len(events)))
				close(done)
			}
		})
	}
	select {
	case <-done:
		return results, nil
	case <-ctx.Done():
		return nil, timedOut(ctx.Err())
	}
}

// mark is where a fold stood before several signals that only count together.
type mark struct {
	now     *workflow.State
	records int
	effects int
	dead    int
	told    *told
	unread  error
}

func (f *fold) mark() mark {
	if f.now != nil {
		f.shown = f.now
	}
	return mark{f.now, len(f.room.Records), len(f.room.Effects), len(f.dead), f.told.clone(), f.unread}
}

// rewind forgets everything that was folded since the mark. States and receipts
// are never changed in place, so going back is forgetting.
func (f *fold) rewind(m mark) {
	f.now, f.told, f.unread = m.now, m.told, m.unread
	f.room.Records, f.room.Effects = f.room.Records[:m.records], f.room.Effects[:m.effects]
	f.dead = f.dead[:m.dead]
	if m.told == nil {
		f.page.clear()
	}
}

// expect makes room for what so many inputs at once leave behind: growing little
// by little copies that of a batch several times.
func (f *fold) expect(inputs int) {
	const many, each = 16, 5 // a signal leaves about five records
	if inputs >= many {
		f.room.Records = slices.Grow(f.room.Records, each*inputs)
		f.replies = slices.Grow(f.replies, inputs)
		f.page.expect(inputs)
	}
}

// together takes all signals of a delivery or, when one is refused, none.
func (f *fold) together(d *Deliver) error {
	before := f.mark()
	answers := make([]workflow.Answer, len(d.Together))
	for i := range d.Together {
		in := &d.Together[i]
		r, err := f.admit(*in, in, false)
		if err != nil {
			return err
		}
		if r.Err != nil {
			f.rewind(before)
			f.reply(d, Reply{Err: r.Err, Refused: i, State: f.current()})
			return nil
		}
		f.asFirst(d, &in.Signal, &r.Answer)
		answers[i] = r.Answer
	}
	f.reply(d, Reply{Answers: answers, State: f.current()})
	return nil
}

// Together brings signals of one execution that are accepted in one commit or
// not at all. With an error, refused is the index of the signal that caused it,
// or -1 when none did.
func (s *System) Together(ctx context.Context, execID string, signals []workflow.Signalled) (answers []workflow.Answer, refused int, err error) {
	if len(signals) == 0 {
		return nil, -1, nil
	}
	r, err := s.Ask(ctx, &Deliver{ExecID: execID, Input: signals[0], Together: signals})
	if err == nil && len(r.Answers) != len(signals) {
		err = fmt.Errorf("%d signals to execution %s were answered with %d", len(signals), execID, len(r.Answers))
	}
	if codeOf(err) != "" && !transient(err) {
		return nil, r.Refused, err
	}
	return r.Answers, -1, err
}
