package actors

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// Deliver brings an input to an execution. A nil Input wakes it: it performs
// again what its state is waiting for.
type Deliver struct {
	ExecID     string
	Input      workflow.Input
	Together   []workflow.Signalled   // signals that are accepted all or none; Input is the first of them
	Definition *workflow.Definition   // of a Started
	Signal     *workflow.Signal       // of a Started: delivered in its commit, or to the execution that is there already
	Event      *workflow.EventReceipt // of a Started: its event, settled, which is not in the store yet and accepted in the commit, or not at all
	Fresh      bool                   // a Started under an id that nobody can have used: there is nothing to load

	// Reply is called exactly once, after the commit or with an error, from any
	// goroutine; it must not block. Nil: nobody waits.
	Reply func(Reply)

	// Whole asks for the state in the reply to a signal, too: when another node
	// took the signal it is read from the store, and most senders do not look at it.
	Whole bool

	// Until is when nobody waits for the reply any more; zero: somebody always does.
	// Resent says that an attempt before this one may have been applied: its own
	// sender never heard, so what that one did is told as if it were the first.
	Until  time.Time
	Resent bool

	// Moved is called instead of Reply when the delivery came from another node
	// and its execution is owned elsewhere by now: that node routes it again, so
	// that no message makes more than one hop. Nothing was done with it.
	Moved func()

	reroutes int
}

// Reply is what became of a delivered input.
type Reply struct {
	Answer  workflow.Answer    // of a Signalled
	Answers []workflow.Answer  // of those delivered together
	Refused int                // with an error, which of those
	Settled bool               // the event of a Started was accepted with it
	Matched bool               // a Signalled{OnlyIfMatched} was taken by a wait
	Reached []workflow.Reached // and what each wait made of it
	State   *workflow.State    // the execution afterwards; nil with an error, and see Whole
	Known   bool               // the input had been applied before
	Err     error              // *workflow.Refusal where the sender can do something
}

// reached notes what each wait made of an event.
func (r *Reply) reached(waits []workflow.Reached) {
	r.Reached = waits
	r.Matched = slices.ContainsFunc(waits, func(w workflow.Reached) bool { return w.Took || w.Open })
}

// presumes reports whether the execution is taken to be new without a look into
// the store: a start under an id that was used before is rare, the store refuses
// its commit, and what is routed again finds the execution that is there. A
// signal that comes along may be refused without a commit, so it must meet the
// execution as it is.
func (d *Deliver) presumes() bool {
	_, start := d.Input.(workflow.Started)
	return start && (d.Fresh || d.reroutes == 0 && d.Signal == nil)
}

// brings is how many bytes of payload come with it.
func (d *Deliver) brings() int {
	n := 0
	switch in := d.Input.(type) {
	case workflow.Signalled:
		n = len(in.Signal.Payload)
	case workflow.Started:
		n = len(in.Input)
	case workflow.TaskDone:
		n = len(in.Output)
	}
	for i := range d.Together {
		n += len(d.Together[i].Signal.Payload)
	}
	if d.Signal != nil {
		n += len(d.Signal.Payload)
	}
	return n
}

func (d *Deliver) answer(r Reply) {
	if d.Reply != nil {
		d.Reply(r)
	}
}

// addressee is the execution that a message is for, "" when it is for whoever sits there.
func addressee(m any) string {
	switch m := m.(type) {
	case *Deliver:
		return m.ExecID
	case *parcel:
		return m.execID
	}
	return ""
}

// The messages that actors of one node send each other.
type (
	turn struct{} // execution to itself: fold what has gathered
	lost struct { // store to execution: a commit failed, memory is worth nothing
		cause error
		life  int
	}
	retire struct{} // to an execution: finish and leave
	sweep  struct{} // to a supervisor, every SweepEvery
	census struct { // to a supervisor: how many live executions
		reply   chan<- int
		leaving bool // count only those that are owned elsewhere
	}
)

// unavailable is what a sender is told when the store did not take a commit.
func unavailable(cause error) *workflow.Refusal {
	return &workflow.Refusal{
		Code:       workflow.CodeStoreUnavailable,
		Message:    "the store did not confirm the write: " + cause.Error(),
		Hint:       "nothing was acknowledged; send it again with the same id",
		RetryAfter: unavailableRetryAfter,
	}
}

// unreadable is what is told when the store does not say what has to be known first.
func unreadable(cause error) *workflow.Refusal {
	return &workflow.Refusal{
		Code:       workflow.CodeStoreUnavailable,
		Message:    "the store cannot be read: " + cause.Error(),
		Hint:       "nothing was changed; send it again with the same id",
		RetryAfter: unavailableRetryAfter,
	}
}

// momentary reports whether an error is of a store that does not say now what it may
// say in a moment. Of what is not there, or makes no sense, it says nothing else then.
func momentary(err error) bool {
	if errors.Is(err, persistence.ErrDamaged) {
		return false
	}
	return errors.Is(err, persistence.ErrUnavailable) || errors.Is(err, persistence.ErrClosed) || errors.Is(err, context.DeadlineExceeded)
}

func overloaded() *workflow.Refusal {
	return &workflow.Refusal{
		Code:       workflow.CodeOverloaded,
		Message:    "the node has as many messages under way as it takes; this one was not kept",
		Hint:       "send it again after a moment, with the same id",
		RetryAfter: unavailableRetryAfter,
	}
}

func stopping() *workflow.Refusal {
	return &workflow.Refusal{
		Code:       workflow.CodeStopping,
		Message:    "the node is stopping; this message was not kept",
		Hint:       "send it again, with the same id, when it is back",
		RetryAfter: unavailableRetryAfter,
	}
}

func notFound(execID string) *workflow.Refusal {
	return &workflow.Refusal{
		Code:    workflow.CodeNoExecution,
		Message: "there is no execution " + quote(execID),
		Hint:    "check the id; finished executions are forgotten after the node's retention",
		Details: map[string]any{"exec_id": execID},
	}
}

// keyTaken is the refusal of a start whose unique key another execution has.
func keyTaken(t *persistence.KeyTaken) *workflow.Refusal {
	return &workflow.Refusal{
		Code:    workflow.CodeKeyTaken,
		Message: fmt.Sprintf("the live execution %q of workflow %s has the key %q; nothing was started", t.Holder, t.WorkflowID, t.Key),
		Hint:    "signal that execution, or start again when it has finished",
		Details: map[string]any{"exec_id": t.Holder, "workflow_id": t.WorkflowID, "key": t.Key},
	}
}

// Holder is the execution that a refusal with CodeKeyTaken names, "" for any other error.
func Holder(err error) string {
	var refusal *workflow.Refusal
	if !errors.As(err, &refusal) || refusal.Code != workflow.CodeKeyTaken {
		return ""
	}
	holder, _ := refusal.Details["exec_id"].(string)
	return holder
}

// now is the present as the core counts it.
func now() workflow.Instant { return workflow.InstantOf(time.Now()) }
