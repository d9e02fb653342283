package actors

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// fold is one turn under way: the inputs taken so far folded into now. Once its
// commit has landed and everybody was told, another turn is made in its room.
type fold struct {
	*execution
	began   time.Time
	was     *workflow.State                   // before the turn, nil for a new execution
	now     *workflow.State                   // after the inputs taken so far, nil while nothing changed
	room    *workflow.Room                    // records and effects of the inputs taken so far
	shown   *workflow.State                   // the last one that somebody may still look at
	fanned  []string                          // ids of events that it takes from their fan-outs
	taken   []*workflow.EventReceipt          // kept events that it takes, settled
	event   *workflow.EventReceipt            // that it begins for, see Deliver
	kept    map[string]*workflow.EventReceipt // in a dry run: kept events as they would be
	told    *told                             // the receipts of signals that changed; nil while none did
	page    told                              // room for them
	write   persistence.Commit                // room for the commit
	dead    []workflow.DeadLetter
	revived []string // ids of dead letters whose signals were taken up again
	decided []string // ids of events that came before this turn's input and of which it says more
	replies []pending
	scratch []workflow.Receipt // room for those that one input changes
	life    int                // of the execution's memory that it was made from
	sent    bool               // the commit is on its way: replies come from there
	landing *flight            // of the commit
	spent   *workflow.State    // that nobody looks at any more when the commit has landed
	unread  error              // a receipt that must change could not be read

	done   func(error) // finish, made once
	opened func()      // what whenKept returns, made once
}

// folds lends the room of turns that are over.
var folds = sync.Pool{New: func() any { return &fold{room: new(workflow.Room)} }}

func newFold(e *execution, began time.Time) *fold {
	f := folds.Get().(*fold)
	if f.done == nil {
		f.done, f.opened = f.finish, func() { f.system.keeper.opened(f.id) }
	}
	f.execution, f.began, f.life = e, began, e.life
	return f
}

// over gives the room back. Nobody may look at the fold, its records or its
// receipts any more.
func (f *fold) over() {
	if cap(f.room.Records) > keepRecords {
		return
	}
	f.room.Clear()
	if f.spent != nil {
		f.room.Keep(f.spent)
	}
	f.page.clear()
	clear(f.replies)
	clear(f.scratch[:cap(f.scratch)])
	clear(f.fanned)
	*f = fold{room: f.room, page: f.page, replies: f.replies[:0], scratch: f.scratch[:0], fanned: f.fanned[:0], done: f.done, opened: f.opened}
	folds.Put(f)
}

func (f *fold) changed() bool { return f.now != nil }

// current is the state that the next input meets.
func (f *fold) current() *workflow.State {
	if f.now != nil {
		return f.now
	}
	return f.was
}

// take gives one input to the state and arranges its reply. An error means that
// definition and state disagree.
func (f *fold) take(d *Deliver) error {
	if start, ok := d.Input.(workflow.Started); ok {
		return f.start(d, start)
	}
	if f.current() == nil {
		refusal := notFound(f.id)
		if !f.quiet {
			f.system.refused(d, nil, refusal)
		}
		f.reply(d, Reply{Err: refusal})
		return nil
	}
	if d.Input == nil {
		f.room.Effects = append(f.room.Effects, workflow.Outstanding(f.def, f.current())...)
		f.reply(d, Reply{State: f.current()})
		return nil
	}
	for _, due := range f.current().Overdue(d.Input.When()) {
		if _, err := f.advance(due, nil); err != nil {
			return err
		}
	}
	if d.Together != nil {
		return f.together(d)
	}
	if in, ok := d.Input.(workflow.Signalled); ok {
		return f.signal(d, d.Input, &in)
	}
	if refusal := refuseSteering(f.current(), d.Input); refusal != nil && !f.ours(d, f.current().UpdatedAt) {
		f.reply(d, Reply{Err: refusal, State: f.current()})
		return nil
	}
	changed, err := f.advance(d.Input, nil)
	f.reply(d, Reply{State: f.current(), Known: !changed})
	return err
}

// start begins the execution, or finds the one that began under the same id.
func (f *fold) start(d *Deliver, in workflow.Started) error {
	if s := f.current(); s != nil {
		return f.again(d, in, s)
	}
	f.def = d.Definition
	f.now = &workflow.State{}
	if _, err := f.advance(in, nil); err != nil {
		return err
	}
	if d.Signal == nil {
		f.event = d.Event
		f.reply(d, Reply{State: f.now, Settled: d.Event != nil})
		return nil
	}
	if refusal := workflow.Admit(f.def, f.now, workflow.Signalled{Stamp: in.Stamp, Signal: *d.Signal}); refusal != nil {
		// A signal that is refused starts nothing: as if nobody had come.
		f.def, f.now, f.told, f.dead = nil, nil, nil, nil
		f.room.Clear()
		f.page.clear()
		f.reply(d, Reply{Err: refusal})
		return nil
	}
	if _, err := f.advance(workflow.Signalled{Stamp: in.Stamp, Signal: *d.Signal}, d.Signal); err != nil {
		return err
	}
	f.reply(d, Reply{Answer: f.told.find(d.Signal.ID).Answer, Matched: true, State: f.now})
	return nil
}

// again answers a start whose execution is there: a repeat gets it, a signal
// that came along is delivered to it, whatever its input was.
func (f *fold) again(d *Deliver, in workflow.Started, s *workflow.State) error {
	same := s.WorkflowID == in.WorkflowID
	if same && d.Signal != nil {
		for _, due := range s.Overdue(in.At) {
			if _, err := f.advance(due, nil); err != nil {
				return err
			}
		}
		signalled := workflow.Signalled{Stamp: in.Stamp, Signal: *d.Signal}
		return f.signal(d, signalled, &signalled)
	}
	if same && sameJSON(s.Input, in.Input) {
		f.reply(d, Reply{State: s, Known: !f.ours(d, s.CreatedAt)})
		return nil
	}
	f.reply(d, Reply{Err: &workflow.Refusal{
		Code:    workflow.CodeExecutionExists,
		Message: fmt.Sprintf("execution %q exists already, of workflow %s with another input", f.id, s.WorkflowID),
		Hint:    "choose another exec_id, or send the same workflow and input to get the first one",
		Details: map[string]any{"exec_id": f.id, "workflow_id": s.WorkflowID, "status": s.Status},
	}})
	return nil
}

// signal admits the Signalled of a delivery, which the input is, and arranges its reply.
func (f *fold) signal(d *Deliver, input workflow.Input, in *workflow.Signalled) error {
	r, err := f.admit(input, in, d.reroutes > 0)
	if err == nil {
		f.asFirst(d, &in.Signal, &r.Answer)
		r.Known = r.Known && (r.Answer.SignalID == "" || r.Answer.Duplicate)
		if _, alone := d.Input.(workflow.Signalled); alone && !d.Whole && !in.OnlyIfMatched && !f.quiet {
			r.State = nil // nobody looks at it, and it would live until the commit has landed
		}
		f.reply(d, r)
	}
	return err
}

// asFirst takes the mark of a duplicate from the answer to a signal when the
// first one was an attempt of this very delivery.
func (f *fold) asFirst(d *Deliver, sig *workflow.Signal, a *workflow.Answer) {
	if !d.Resent || !a.Duplicate {
		return
	}
	// Two copies of a signal may come in the same millisecond; their requests differ.
	if first, err := f.receipt(sig); err == nil && first != nil && f.ours(d, first.At) && sig.RequestID != "" && first.RequestID == sig.RequestID {
		a.Duplicate = false
	}
}

// admit takes a signal, unless it is one that came before, and says what its
// sender hears. The input is the signalled one. One that is routed again may have
// had a commit refused.
func (f *fold) admit(input workflow.Input, in *workflow.Signalled, again bool) (Reply, error) {
	first, err := f.receipt(&in.Signal)
	if err != nil {
		return Reply{Err: unreadable(err)}, nil
	}
	if first != nil && !reopens(first, &in.Signal) {
		return repeated(first, &in.Signal, f.current()), nil
	}
	kept, no := f.mayTake(in, again)
	if no != nil {
		return *no, nil
	}
	if refusal := workflow.Admit(f.def, f.current(), *in); refusal != nil {
		if !f.quiet {
			f.system.letters.refused(*in, f.current(), refusal)
		}
		return Reply{Err: refusal, State: f.current()}, nil
	}
	var letterID string
	if in.Signal.Redelivered {
		letterID = f.unbury(in.Signal.ID)
	}
	changed, err := f.advance(input, &in.Signal)
	switch {
	case err != nil:
		return Reply{}, err
	case changed:
		taken := kept == nil || f.takeEvent(kept, in)
		if in.OnlyIfMatched && kept == nil {
			f.fanned = append(f.fanned, in.Signal.ID)
		}
		r := f.told.find(in.Signal.ID)
		answer := r.Answer
		if in.Signal.Redelivered {
			f.revived = append(f.revived, letterID)
			answer = r.Redelivered(&in.Signal, f.now)
		}
		reply := Reply{Answer: answer, Matched: taken, State: f.now}
		if in.OnlyIfMatched && kept == nil {
			reply.reached(r.Reached(f.now))
		}
		return reply, nil
	case in.OnlyIfMatched:
		return Reply{State: f.current()}, nil
	}
	// The state remembers the id although its receipt was swept.
	return Reply{Known: true, State: f.current(), Answer: workflow.Answer{
		SignalID: in.Signal.ID, Outcome: workflow.Delivered, Duplicate: true, Status: f.current().Status}}, nil
}

// ours reports whether what happened at that moment was done by an attempt of
// this very delivery that its sender never heard of.
func (f *fold) ours(d *Deliver, at workflow.Instant) bool { return d.Resent && at == d.Input.When() }

// repeated is the reply to a signal whose id was accepted before.
func repeated(first *workflow.Receipt, sig *workflow.Signal, s *workflow.State) Reply {
	if digest := sig.Digest(); digest != first.Digest {
		return Reply{Err: &workflow.Refusal{
			Code:    workflow.CodeIDReused,
			Message: fmt.Sprintf("signal_id %q was used before with another name or payload", sig.ID),
			Hint:    "use a new signal_id for a new signal; this one was not kept",
			Details: map[string]any{"signal_id": sig.ID, "first_digest": first.Digest, "digest": digest},
		}}
	}
	answer := first.Answer
	answer.Duplicate = true
	reply := Reply{Answer: answer, Known: true, Matched: first.Fate == workflow.FateConsumed, State: s}
	if first.Source == workflow.FromEvent {
		reply.reached(first.Reached(s))
	}
	return reply
}

// receipt finds what a signal of that id was told before, nil when it is new.
func (f *fold) receipt(sig *workflow.Signal) (*workflow.Receipt, error) {
	if r := f.told.find(sig.ID); r != nil {
		return r, nil
	}
	if r := f.under(sig.ID); r != nil {
		return r, nil
	}
	if sig.Minted {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	r, err := f.system.Store.Receipt(ctx, sig.ID, f.id)
	if errors.Is(err, persistence.ErrNotFound) {
		return nil, nil
	}
	return r, err
}

// known finds the receipt of a signal that came in an earlier turn. One that
// cannot be read stops the turn: otherwise it would say for ever what was true
// before.
func (f *fold) known(signalID string) *workflow.Receipt {
	r, err := f.receipt(&workflow.Signal{ID: signalID})
	if err != nil {
		f.unread = err
	}
	if r == nil {
		return nil
	}
	again := *r
	if f.told.find(signalID) == nil {
		again.Was = r.Fate // as the commit before left it
	}
	again.Steps = append([]workflow.Step(nil), r.Steps...)
	return &again
}

// advance is step 2 for one input, and for the signal that arrives with it, if any.
func (f *fold) advance(in workflow.Input, arrived *workflow.Signal) (bool, error) {
	before := f.current()
	begin := len(f.room.Records)
	next, err := f.room.Advance(f.def, before, in)
	if next == nil {
		return false, err
	}
	f.now = next
	records := f.room.Records[begin:]
	receipts := workflow.FollowInto(f.scratch, f.now, records, arrived, f.known)
	f.scratch = receipts
	f.dead = append(f.dead, workflow.Bury(before, f.now, arrived, receipts)...)
	if f.told == nil && len(receipts) > 0 {
		f.told = &f.page
	}
	for i := range receipts {
		if r := &receipts[i]; r.Source == workflow.FromEvent && (arrived == nil || arrived.ID != r.SignalID) {
			f.decided = append(f.decided, r.SignalID)
		}
		f.told.put(&receipts[i])
	}
	if before != f.was && before != f.shown && !f.quiet {
		f.room.Reuse(before)
	}
	return true, nil
}

// pending is a reply that waits for what it rests on to be durable.
type pending struct {
	to *Deliver
	Reply
}

// reply arranges what the sender hears when everything it rests on is durable.
func (f *fold) reply(d *Deliver, r Reply) {
	if r.State != nil {
		f.shown = r.State
	}
	if d.Reply != nil {
		f.replies = append(f.replies, pending{d, r})
	}
}

// say answers the sender; err is why what the reply rests on is not durable.
func (f *fold) say(p *pending, err error) {
	if err == nil {
		p.to.Reply(p.Reply)
		return
	}
	taken := keyRefused(err)
	_, start := p.to.Input.(workflow.Started)
	switch {
	case taken != nil && start:
		p.to.Reply(Reply{Err: keyTaken(taken)})
	case p.to.Event != nil && overtaken(err):
		p.to.Reply(Reply{Err: err}) // the event goes the long way
	case (taken != nil || overtaken(err)) && p.to.reroutes < MaxReroutes:
		// Who came after a start that was refused finds no execution.
		f.system.reroute(p.to)
	default:
		p.to.Reply(Reply{Err: unavailable(err)})
	}
}

// keyRefused is why the store has refused a start because of its key, nil when it was
// for something else.
func keyRefused(err error) (taken *persistence.KeyTaken) {
	errors.As(err, &taken)
	return taken
}

// overtaken reports whether what failed is worth another look: somebody else has
// committed, the event of a start is known, or the rows of the execution, which was
// not looked at, are damaged.
func overtaken(err error) bool {
	var corrupt *persistence.Corrupt
	return errors.Is(err, persistence.ErrConflict) || errors.Is(err, persistence.ErrKnown) || errors.As(err, &corrupt)
}

// abandon answers everybody of a turn that broke before its commit.
func (f *fold) abandon(batch []*Deliver, why *workflow.Refusal) {
	if f == nil || f.sent {
		return
	}
	for _, d := range batch {
		f.system.refused(d, f.was, why)
		d.answer(Reply{Err: why})
	}
}

// commit is step 4, and arranges 5 and 6. A turn that changed nothing answers
// when the commits it rests on have landed. The fold is over by the time this
// returns, or at any moment after.
func (f *fold) commit() {
	f.sent = true
	hidden := f.hidden
	f.hidden = f.shown == nil && (hidden || f.changed())
	if !f.changed() {
		f.afterLast(func(err error) {
			f.speak(err)
			f.over()
		})
		return
	}
	var events []workflow.Event
	for _, effect := range f.room.Effects {
		if emit, ok := effect.(workflow.EmitEvent); ok {
			events = append(events, emit.Event)
		}
	}
	f.state = f.now
	parent := f.tip
	f.tip = rand.Uint64()

	f.landing = f.takeOff(f.told)
	if hidden && f.hidden && len(f.aloft) == 1 {
		f.spent = f.was // the turn that made it has landed, and this is the last that looks at it
	}
	f.write = persistence.Commit{
		ExecID: f.id, Expect: version(f.was), Parent: parent, ID: f.tip, Epoch: f.epoch,
		Was: f.was, Now: f.now, Records: f.room.Records, Receipts: f.told.all(), Events: events,
		Dead: f.dead, Revived: f.revived, Fanned: f.fanned, Taken: f.taken, Event: f.event,
		Working: workflow.Working(f.now), Worked: f.was != nil && workflow.Working(f.was),
		Kept: f.whenKept(), Done: f.done,
	}
	f.system.Store.Submit(&f.write)
}

// finish is what comes of a commit.
func (f *fold) finish(err error) {
	f.landed(err)
	f.landing.land(err)
	if err != nil {
		f.spent = nil
	}
	f.over()
}

// speak is steps 5 and 6: it runs when what the turn rests on is durable, or
// has failed, on the store's writer as a rule, and must not block.
func (f *fold) speak(err error) {
	for i := range f.replies {
		f.say(&f.replies[i], err)
	}
	if err == nil {
		f.system.perform(f.room.Effects)
	}
}

// landed ends the turn's flight. The actor hears of it only when it must: when
// the commit failed, before anybody is routed to it again, or when it waits to go on.
func (f *fold) landed(err error) {
	if err != nil {
		f.seat.post.PostUserMessage(lost{cause: err, life: f.life})
	}
	f.speak(err)
	if err == nil {
		f.system.setAlarms(f.was, f.now)
		f.system.noteClosed(f.was, f.room.Records)
		for i := range f.dead {
			f.system.Observer.Buried(f.dead[i].Cause)
		}
		f.resumed()
		for _, r := range f.taken {
			f.moved(r)
		}
		if f.event != nil {
			f.moved(f.event)
		}
		for _, eventID := range f.decided {
			f.system.lookAfter(eventID)
		}
		f.system.notify(f.id)
		f.system.Observer.Committed(f.now.WorkflowID, f.was, f.now, f.room.Records, time.Since(f.began))
	} else if !overtaken(err) && keyRefused(err) == nil {
		f.inDoubt()
	}
	f.flights.Add(-1)
	if f.starved.CompareAndSwap(true, false) {
		f.seat.landed()
	}
}

// inDoubt sees to what a commit leads to that failed and may be in the store all
// the same: the execution performs what it waits for.
func (f *fold) inDoubt() {
	if f.system.stopping.Load() {
		return // the next start performs it
	}
	f.system.setAlarms(f.was, f.now)
	f.system.wake(f.id, RedeliverAfter)
	f.system.CatchUp()
}

func version(s *workflow.State) uint64 {
	if s == nil {
		return 0
	}
	return s.Version
}

// refuseSteering says why a pause, resume, cancel or move makes no sense now.
func refuseSteering(s *workflow.State, in workflow.Input) *workflow.Refusal {
	var verb string
	wrong := s.Status.Finished()
	switch in := in.(type) {
	case workflow.DeadlineMoved:
		return workflow.AdmitMove(s, in)
	case workflow.PauseAsked:
		verb, wrong = "paused", wrong || s.Paused
	case workflow.ResumeAsked:
		verb, wrong = "resumed", wrong || !s.Paused
	case workflow.CancelAsked:
		verb = "canceled"
	}
	if verb == "" || !wrong {
		return nil
	}
	code := workflow.CodeWrongStatus
	if s.Status.Finished() {
		code = workflow.CodeFinished
	}
	return &workflow.Refusal{
		Code:    code,
		Message: fmt.Sprintf("execution %s is %s and cannot be %s", s.ExecID, s.Status, verb),
		Hint:    "look at its status first",
		Details: map[string]any{"exec_id": s.ExecID, "status": s.Status},
	}
}

// sameJSON reports whether two values are equal whatever the order of their keys.
func sameJSON(a, b workflow.Value) bool {
	return bytes.Equal(a, b) || bytes.Equal(canonical(a), canonical(b))
}

func canonical(v workflow.Value) []byte {
	if v == nil {
		return []byte("{}")
	}
	decoder := json.NewDecoder(bytes.NewReader(v))
	decoder.UseNumber()
	var decoded any
	if decoder.Decode(&decoded) != nil {
		return v
	}
	return workflow.ValueOf(decoded)
}
