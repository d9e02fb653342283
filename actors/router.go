package actors

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/google/uuid"

	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// The messages around an event's fan-out.
type (
	fan struct { // to the router: an event is durable
		receipt *workflow.EventReceipt
		redone  bool // it may have been fanned out before, in part
	}
	catchUp struct{} // to the router: look for events that are not fanned out
	retry   struct{} // the same, after a time when that could not be done
	fanned  struct { // fan-out to router: finished
		eventID string
		by      *actor.PID
	}
	reached struct { // listener to fan-out
		deliveries []workflow.Delivery // one, or of an execution one for each wait that was asked
		invalid    bool                // it refused the payload by a schema
	}
	passed struct { // wait to fan-out: not taken by this execution
		execID string
		said   []workflow.Delivery // of each wait that was asked, where the execution remembers it
		state  *workflow.State     // nil where another node has it
	}
	twice    struct{}            // wait to fan-out: counted before
	settled  struct{ err error } // store to fan-out
	nextPage struct{}            // fan-out to itself
)

// router gives each durable event to a fan-out of its own, MaxFanouts at a
// time. What does not fit stays accepted in the store and is caught up with.
type router struct {
	system   *System
	running  map[string]*actor.PID // fan-outs by event
	late     map[string]bool       // events of these that are to be looked at once more
	triggers map[triggerKey]*actor.PID
	behind   bool   // the store holds accepted events that no fan-out has taken
	read     string // id of the one up to which they have been read, "" when that begins anew
	since    bool   // some were left that may come before it
	again    bool   // they could not be read; that is tried again
}

type triggerKey struct {
	workflow string
	index    int
}

func newRouter(s *System) *router {
	return &router{system: s, running: make(map[string]*actor.PID), late: make(map[string]bool), triggers: make(map[triggerKey]*actor.PID)}
}

// Receive implements actor.Actor.
func (r *router) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case fan:
		if !r.fan(ctx, m.receipt, m.redone) {
			r.left()
		}
	case wanted:
		r.wanted(ctx, m.event)
	case catchUp:
		r.left()
		if !r.again {
			r.catchUp(ctx)
		}
	case retry:
		r.again = false
		r.catchUp(ctx)
	case fanned:
		r.over(ctx, m.eventID, m.by)
		if r.behind && len(r.running) < MaxFanouts/2 {
			r.catchUp(ctx)
		}
	case *actor.Terminated:
		for key, pid := range r.triggers {
			if pid.Equal(m.Who) {
				delete(r.triggers, key)
			}
		}
		for id, pid := range r.running {
			if pid.Equal(m.Who) {
				r.over(ctx, id, pid)
			}
		}
	}
}

// over forgets a fan-out that has ended, and has its event looked at once more when
// somebody has decided meanwhile. That it stopped may be heard before what it said
// last, and then another one may be under way.
func (r *router) over(ctx actor.Context, eventID string, by *actor.PID) {
	if pid := r.running[eventID]; pid == nil || !pid.Equal(by) {
		return
	}
	delete(r.running, eventID)
	if r.late[eventID] {
		delete(r.late, eventID)
		r.wanted(ctx, eventID)
	}
}

// fan has an event fanned out, or looked at when that was done; false when there
// are too many already.
func (r *router) fan(ctx actor.Context, receipt *workflow.EventReceipt, redone bool) bool {
	id := receipt.Event.ID
	if r.running[id] != nil {
		return true
	}
	if len(r.running) >= MaxFanouts {
		return false
	}
	listeners := r.system.Catalog.Listeners(receipt.Event.Name)
	if receipt.Counts.Buffered > 0 {
		listeners = nil // they have been asked
	}
	triggers := make([]*actor.PID, len(listeners))
	for i, l := range listeners {
		triggers[i] = r.trigger(ctx, l)
	}
	props := actor.PropsFromProducer(func() actor.Actor {
		return &fanout{system: r.system, receipt: receipt, redone: redone, lookup: lookup{event: receipt.Event}, listeners: listeners, triggers: triggers}
	})
	r.running[id] = ctx.Spawn(props)
	return true
}

// left notes that accepted events are left in the store for later.
func (r *router) left() {
	r.behind, r.since = true, r.since || r.read != ""
}

// trigger finds the actor of a trigger, or makes it.
func (r *router) trigger(ctx actor.Context, l Listener) *actor.PID {
	key := triggerKey{l.Definition.ID, l.Index}
	pid := r.triggers[key]
	if pid == nil {
		pid = ctx.Spawn(actor.PropsFromProducer(func() actor.Actor { return &trigger{system: r.system} }))
		r.triggers[key] = pid
	}
	return pid
}

// catchUp takes accepted events from the store, as many as fit, and goes on next
// time behind them: some stay accepted until all waits have decided.
func (r *router) catchUp(ctx actor.Context) {
	background, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	if r.system.Store.Health() != nil {
		r.behind = true
		r.tryAgain(ctx)
		return
	}
	r.behind = false
	for {
		open, err := r.system.Store.OpenEvents(background, r.read, MaxFanouts)
		if err != nil {
			r.system.Logger.Error("the events that are not fanned out cannot be read; trying again", "err", err)
			r.behind = true
			r.tryAgain(ctx)
			return
		}
		for _, receipt := range open {
			if r.system.here(receipt.Event.ID) && !r.fan(ctx, receipt, true) {
				r.behind = true
				return
			}
			r.read = receipt.Event.ID
		}
		if len(open) > 0 {
			continue
		}
		r.read = ""
		if !r.since {
			return
		}
		r.since = false
	}
}

// tryAgain catches up after a moment, once however often it is called meanwhile.
func (r *router) tryAgain(ctx actor.Context) {
	if !r.again {
		r.again = true
		self, root := ctx.Self(), ctx.ActorSystem().Root
		afterHold(func() { root.Send(self, retry{}) })
	}
}

// wanted takes an event that another node accepted from the store.
func (r *router) wanted(ctx actor.Context, eventID string) {
	if r.running[eventID] != nil {
		r.late[eventID] = true
		return
	}
	background, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	receipt, err := r.system.Store.Event(background, eventID)
	if err != nil {
		r.system.Logger.Warn("an event of another node cannot be read; looking for it again later", "event_id", eventID, "err", err)
		return
	}
	if receipt.Fate == workflow.FateAccepted && !r.fan(ctx, receipt, true) {
		r.left()
	}
}

// fanout brings one event to everybody who listens: to the actor of each
// trigger of that name, and to each open wait of that name. Starting and
// delivering are idempotent - ids derive from the event - so a fan-out that a
// crash interrupts is simply done again.
type fanout struct {
	system    *System
	receipt   *workflow.EventReceipt
	redone    bool // an earlier fan-out may have reached somebody
	listeners []Listener
	triggers  []*actor.PID
	open      int                 // deliveries without an answer
	lookup    lookup              // of the waits
	paged     bool                // all pages were read
	invalid   int                 // listeners whose schema refused it
	missed    *workflow.State     // of the execution that passed it by last
	passes    []workflow.Delivery // waits that it passed by
	failed    bool                // something must be tried again
	settling  bool
}

// Receive implements actor.Actor.
func (f *fanout) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		if f.receipt.Counts.Buffered > 0 {
			f.look(ctx)
			return
		}
		for i, pid := range f.triggers {
			f.open++
			ctx.Send(pid, triggered{listener: f.listeners[i], event: f.receipt.Event, fanout: ctx.Self()})
		}
		f.page(ctx)
	case nextPage:
		f.page(ctx)
	case reached:
		f.open--
		if m.invalid {
			f.invalid++
		}
		for _, d := range m.deliveries {
			f.note(d)
		}
	case passed:
		f.open--
		f.receipt.Counts.Add("passed")
		f.passedBy(m)
	case twice:
		f.open--
	case settled:
		f.settled(ctx, m.err)
		return
	default:
		return // it stops
	}
	f.settle(ctx)
}

// page delivers to the next open waits that the event can satisfy.
func (f *fanout) page(ctx actor.Context) {
	if f.paged || f.open > FanoutWindow/2 {
		return
	}
	background, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	rows, done, err := f.lookup.next(background, f.system, FanoutWindow/2)
	if err != nil {
		f.system.Logger.Warn("the waits for an event cannot be read; its fan-out is done again", "event_id", f.receipt.Event.ID, "err", err)
		f.paged, f.failed = true, true
		return
	}
	f.paged = done
	for _, row := range rows {
		f.deliver(ctx, row)
	}
}

func (f *fanout) deliver(ctx actor.Context, row workflow.WaitRow) {
	f.open++
	ev, before := f.receipt.Event, f.lookup.before
	self, root := ctx.Self(), ctx.ActorSystem().Root
	f.system.Tell(&Deliver{
		ExecID: row.ExecID,
		Input: workflow.Signalled{
			Stamp: workflow.Stamp{At: now()}, OnlyIfMatched: true,
			Signal: delivered(&ev, row.ExecID),
		},
		Reply: func(r Reply) {
			if given(&ev, before, &r) {
				root.Send(self, twice{})
				return
			}
			all := deliveriesTo(row, &r, now())
			if r.Err == nil && !r.Matched {
				root.Send(self, passed{execID: row.ExecID, said: all, state: r.State})
				return
			}
			root.Send(self, reached{deliveries: all, invalid: codeOf(r.Err) == workflow.CodePayloadInvalid})
		},
	})
}

// deliveriesTo lists what an execution did with an event, for each wait that was
// asked; nothing when the event changed nothing there.
func deliveriesTo(row workflow.WaitRow, r *Reply, at workflow.Instant) []workflow.Delivery {
	d := deliveryTo(row, at)
	switch {
	case r.Err != nil:
		d.Outcome, d.Reason = outcomeOf(r.Err), r.Err.Error()
	case len(r.Reached) > 0 || !r.Matched:
		return eachOf(d, r.Reached)
	case r.Answer.WaitID != "": // a node of the release before says no more
		d.WaitID = r.Answer.WaitID
	}
	return []workflow.Delivery{d}
}

func deliveryTo(row workflow.WaitRow, at workflow.Instant) workflow.Delivery {
	return workflow.Delivery{Kind: "wait", WorkflowID: row.WorkflowID, ExecID: row.ExecID, WaitID: row.ID, Outcome: "delivered", At: at}
}

// eachOf is the delivery to an execution, once for each wait.
func eachOf(d workflow.Delivery, waits []workflow.Reached) []workflow.Delivery {
	all := make([]workflow.Delivery, len(waits))
	for i, w := range waits {
		d.WaitID, d.Outcome, d.Reason = w.Wait, "passed", w.Reason
		switch {
		case w.Took:
			d.Outcome = "delivered"
		case w.Open:
			d.Outcome = "buffered"
		}
		all[i] = d
	}
	return all
}

// outcomeOf tells a listener that refuses for good from one to try again.
func outcomeOf(err error) string {
	switch codeOf(err) {
	case workflow.CodeStoreUnavailable, workflow.CodeStopping, workflow.CodeTimeout:
		return again
	}
	return "refused"
}

// codeOf is the code of a refusal, "" of any other error and of none.
func codeOf(err error) string {
	var refusal *workflow.Refusal
	if errors.As(err, &refusal) {
		return refusal.Code
	}
	return ""
}

// again is the outcome of a delivery that must be repeated.
const again = "again"

func (f *fanout) note(d workflow.Delivery) {
	switch d.Outcome {
	case again:
		f.failed = true
		return
	case "passed": // by a wait of an execution in which another one took it
	default:
		f.receipt.Counts.Add(d.Outcome)
	}
	f.list(d)
}

// list shows a delivery in the receipt while there is room.
func (f *fanout) list(d workflow.Delivery) {
	switch {
	case d.Outcome == "passed":
		if len(f.passes) < MaxPasses {
			f.passes = append(f.passes, d)
		}
	case len(f.receipt.Deliveries) < MaxDeliveries:
		f.receipt.Deliveries = append(f.receipt.Deliveries, d)
	}
}

// settle reads on while there is more, and writes the receipt at the end.
func (f *fanout) settle(ctx actor.Context) {
	if !f.paged {
		if f.open <= FanoutWindow/2 {
			ctx.Send(ctx.Self(), nextPage{})
		}
		return
	}
	if f.open > 0 || f.settling {
		return
	}
	if f.failed {
		f.again(ctx)
		return
	}
	if f.system.settledElsewhere(f.receipt.Event.ID) {
		f.leave(ctx)
		return
	}
	if f.redone {
		if err := f.recall(); err != nil {
			f.system.Logger.Warn("what an earlier fan-out of an event did cannot be read; it is done again", "event_id", f.receipt.Event.ID, "err", err)
			f.again(ctx)
			return
		}
	}
	f.settling = true
	room := MaxDeliveries - len(f.receipt.Deliveries)
	f.receipt.Deliveries = append(f.receipt.Deliveries, f.passes[:min(len(f.passes), room)]...)
	slices.SortStableFunc(f.receipt.Deliveries, func(a, b workflow.Delivery) int { return int(a.At - b.At) })
	f.conclude()
	f.write(ctx)
}

// write settles the receipt as it is now.
func (f *fanout) write(ctx actor.Context) {
	self, root := ctx.Self(), ctx.ActorSystem().Root
	f.system.Store.SettleEvent(f.receipt, func(err error) { root.Send(self, settled{err: err}) })
}

// again leaves the event accepted; the router finds it in the store once more.
func (f *fanout) again(ctx actor.Context) {
	f.leave(ctx)
	root, router := ctx.ActorSystem().Root, f.system.router
	afterHold(func() { root.Send(router, catchUp{}) })
}

func (f *fanout) leave(ctx actor.Context) {
	ctx.Send(ctx.Parent(), fanned{eventID: f.receipt.Event.ID, by: ctx.Self()})
	ctx.Stop(ctx.Self())
}

// trigger starts executions of one workflow for the events that it accepts.
type trigger struct{ system *System }

// triggered asks a trigger to judge an event.
type triggered struct {
	listener Listener
	event    workflow.Event
	fanout   *actor.PID
}

// Receive implements actor.Actor.
func (t *trigger) Receive(ctx actor.Context) {
	m, ok := ctx.Message().(triggered)
	if !ok {
		return
	}
	d := workflow.Delivery{Kind: "trigger", WorkflowID: m.listener.Definition.ID, At: now()}
	defer func() {
		// A listener that breaks must not touch the others, nor lose the answer.
		if cause := recover(); cause != nil {
			t.system.Logger.Error("a trigger broke on an event", "workflow", d.WorkflowID, "event_id", m.event.ID, "cause", cause, "stack", string(debug.Stack()))
			d.Outcome, d.Reason = "failed", fmt.Sprint("the trigger broke: ", cause)
			ctx.Send(m.fanout, reached{deliveries: []workflow.Delivery{d}})
		}
	}()
	spec := m.listener.Definition.Triggers[m.listener.Index]
	if d.Outcome, d.Reason = accepts(spec, m.event); d.Outcome != "" {
		ctx.Send(m.fanout, reached{deliveries: []workflow.Delivery{d}, invalid: d.Outcome == "refused"})
		return
	}
	t.start(ctx, m, d)
}

// accepts judges an event by the trigger's schema and filter; the outcome "" means yes.
func accepts(spec workflow.Trigger, ev workflow.Event) (outcome, reason string) {
	payload := ev.Payload
	if payload == nil {
		payload = workflow.Value("{}")
	}
	if spec.Schema != nil {
		if broken := spec.Schema.Check(payload); len(broken) > 0 {
			return "refused", fmt.Sprintf("the payload violates the trigger's schema at %q: %s", broken[0].Pointer, broken[0].Message)
		}
	}
	if spec.Filter != nil {
		envelope := workflow.ValueOf(map[string]workflow.Value{"payload": payload})
		verdict := spec.Filter.Judge(&workflow.Scope{Payload: payload, Signal: envelope, Now: ev.ReceivedAt, Grounds: true})
		if !verdict.Holds {
			return "ignored", "the trigger's filter is false: " + verdict.Reason
		}
		if verdict.Reason != "" {
			return "", "the trigger's filter is true: " + verdict.Reason
		}
	}
	return "", ""
}

func (t *trigger) start(ctx actor.Context, m triggered, d workflow.Delivery) {
	started, refusal := m.listener.start(&m.event)
	d.ExecID = started.ExecID
	if refusal != nil {
		d.Outcome, d.Reason = "refused", refusal.Error()
		ctx.Send(m.fanout, reached{deliveries: []workflow.Delivery{d}, invalid: refusal.Code == workflow.CodeInputInvalid && refusal.Violations != nil})
		return
	}
	root := ctx.ActorSystem().Root
	t.system.Tell(&Deliver{
		ExecID: d.ExecID, Definition: m.listener.Definition, Input: started,
		Reply: func(r Reply) {
			d.At = now()
			m.listener.became(&d, r.Err)
			root.Send(m.fanout, reached{deliveries: []workflow.Delivery{d}})
		},
	})
}

// start is the execution that an event starts, or why it cannot.
func (l Listener) start(ev *workflow.Event) (workflow.Started, *workflow.Refusal) {
	def := l.Definition
	started := workflow.Started{
		Stamp: workflow.Stamp{At: now()}, ExecID: DerivedID(ev.ID, def.ID, l.Index), WorkflowID: def.ID, Definition: def.Hash, By: ev.By,
		Origin: &workflow.Origin{Type: "signal", Name: ev.Name, Payload: ev.Payload, EventID: ev.ID, CorrelationID: ev.CorrelationID, TraceParent: ev.TraceParent},
	}
	input, broken := Input(def, ev.Payload)
	if broken != nil {
		return started, broken
	}
	started.Input = input
	return started, def.Mark(&started, nil)
}

// became notes what became of a start.
func (l Listener) became(d *workflow.Delivery, err error) {
	d.Outcome = "started"
	var refusal *workflow.Refusal
	switch {
	case err == nil:
	case errors.As(err, &refusal) && refusal.Code == workflow.CodeExecutionExists:
		// The definition's defaults changed between two attempts at the same
		// start: the first one stands.
	case errors.As(err, &refusal) && refusal.Code == workflow.CodeKeyTaken && !l.Definition.Key.Refuse:
		d.Outcome, d.Reason, d.ExecID = "ignored", refusal.Message, Holder(refusal)
	default:
		d.Outcome, d.Reason = outcomeOf(err), err.Error()
	}
}

// Input fills the defaults of a workflow's input schema into an input and
// checks it; the refusal lists every violation.
func Input(def *workflow.Definition, input workflow.Value) (workflow.Value, *workflow.Refusal) {
	if def.Input == nil {
		return input, nil
	}
	if input == nil {
		input = workflow.Value("{}")
	}
	input = def.Input.Default(input)
	broken := def.Input.Check(input)
	if len(broken) == 0 {
		return input, nil
	}
	return nil, &workflow.Refusal{
		Code:       workflow.CodeInputInvalid,
		Message:    fmt.Sprintf("the input violates the schema of workflow %s at %q: %s", def.ID, broken[0].Pointer, broken[0].Message),
		Hint:       "correct the input at the pointers listed; nothing was started",
		Violations: broken,
		Details:    map[string]any{"workflow_id": def.ID},
	}
}

// triggerSpace is the name space of the ids that derive from events (RFC 9562,
// version 5): the same event and trigger always start the same execution.
var triggerSpace = uuid.NewSHA1(uuid.NameSpaceURL, []byte("signalbox:trigger"))

// DerivedID is the id of the execution that an event starts through a trigger.
func DerivedID(eventID, workflowID string, trigger int) string {
	return uuid.NewSHA1(triggerSpace, fmt.Appendf(nil, "%s\x00%s\x00%d", eventID, workflowID, trigger)).String()
}

// Event accepts an event: it returns when the event is durable, and hands it to
// the router unless it was accepted before.
func (s *System) Event(ctx context.Context, ev workflow.Event) (*workflow.EventReceipt, bool, error) {
	if s.stopping.Load() {
		return nil, false, stopping()
	}
	if err := s.Store.Health(); err != nil {
		return nil, false, unavailable(err)
	}
	if s.admitted.Add(1) > MaxAdmitted {
		s.admitted.Add(-1)
		return nil, false, overloaded()
	}
	answers := make(chan eventAnswer, 1)
	s.Store.AcceptEvent(ev, func(stored *workflow.EventReceipt, known bool, err error) {
		s.admitted.Add(-1)
		if err == nil && !known {
			receipt := *stored
			s.fan(&receipt)
		}
		if err != nil && !errors.Is(err, persistence.ErrClosed) {
			s.CatchUp() // it may be in the store all the same, and its sender gone
		}
		answers <- eventAnswer{stored, known, err}
	})
	select {
	case a := <-answers:
		if a.err != nil {
			if errors.Is(a.err, persistence.ErrClosed) {
				return nil, false, stopping()
			}
			return nil, false, unavailable(a.err)
		}
		return a.stored, a.known, nil
	case <-ctx.Done():
		return nil, false, timedOut(ctx.Err())
	}
}

type eventAnswer struct {
	stored *workflow.EventReceipt
	known  bool
	err    error
}
