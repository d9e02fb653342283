package acceptance

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/signalbox/signalbox/workflow"
)

// The words of a script: first those that do something.

// Start begins an execution under an id of the script's choice.
func Start(exec, workflowID, input string, wants ...answered) act {
	return func(w *world) error {
		begun, err := w.node.Begin(w.ctx, workflow.Start{WorkflowID: workflowID, ExecID: exec, Input: workflow.Value(input)})
		if err == nil {
			w.started[exec] = true
		}
		return judge(reply{known: begun.Known, err: err}, wants)
	}
}

// Signal sends a signal with an id that is made from its name and the moment,
// unless ID gives one.
func Signal(exec, name, payload string, wants ...answered) act {
	return func(w *world) error {
		s := workflow.Signal{ExecID: exec, Name: name, Payload: workflow.Value(payload), Source: "api"}
		s.ID = fmt.Sprintf("%s-%s-%d", exec, name, time.Now().UnixNano())
		for _, want := range wants {
			if want.sets != nil {
				want.sets(&s)
			}
		}
		a, err := w.node.Signal(w.ctx, s)
		return judge(reply{answer: a, known: a.Duplicate, err: err}, wants)
	}
}

// Event posts an event under an id.
func Event(id, name, payload string, wants ...answered) act {
	return func(w *world) error {
		_, known, err := w.node.Event(w.ctx, workflow.Event{ID: id, Name: name, Payload: workflow.Value(payload), Source: "api"})
		return judge(reply{known: known, err: err}, wants)
	}
}

// Pause holds an execution still.
func Pause(exec string, wants ...answered) act { return steer(exec, workflow.PauseAsked{}, wants) }

// Resume lets a paused execution go on.
func Resume(exec string, wants ...answered) act { return steer(exec, workflow.ResumeAsked{}, wants) }

// Cancel ends an execution.
func Cancel(exec, reason string, wants ...answered) act {
	return steer(exec, workflow.CancelAsked{Reason: reason}, wants)
}

func steer(exec string, what workflow.Input, wants []answered) act {
	return func(w *world) error {
		_, err := w.node.Steer(w.ctx, exec, what)
		return judge(reply{err: err}, wants)
	}
}

// reply is what any of these was answered with.
type reply struct {
	answer workflow.Answer
	known  bool
	err    error
}

// answered is what a script wants of an answer, or gives to the message.
type answered struct {
	sets    func(*workflow.Signal)
	check   func(reply) error
	refusal bool
}

// judge wants no error unless the script says so.
func judge(r reply, wants []answered) error {
	refusal := false
	for _, want := range wants {
		refusal = refusal || want.refusal
		if want.check != nil {
			if err := want.check(r); err != nil {
				return err
			}
		}
	}
	if !refusal {
		return r.err
	}
	return nil
}

// Outcome wants a signal to be answered with delivered or buffered.
func Outcome(want string) answered {
	return answered{check: func(r reply) error {
		if r.err == nil && string(r.answer.Outcome) != want {
			return fail("answered %q because %q, want %q", r.answer.Outcome, r.answer.Reason, want)
		}
		return nil
	}}
}

// Because wants the answer to give a reason.
func Because(part string) answered {
	return answered{check: func(r reply) error { return contain(r.answer.Reason, part) }}
}

// Known wants the answer to say whether the same was asked before.
func Known(want bool) answered {
	return answered{check: func(r reply) error {
		if r.err == nil && r.known != want {
			return fail("known is %v, want %v", r.known, want)
		}
		return nil
	}}
}

// Refused wants a refusal of a code, whose text tells something.
func Refused(code, tells string) answered {
	return answered{refusal: true, check: func(r reply) error {
		var refusal *workflow.Refusal
		if !errors.As(r.err, &refusal) || refusal.Code != code {
			return fail("answered with %v, want a refusal %s", r.err, code)
		}
		return contain(refusal.Error(), tells)
	}}
}

// ID gives a signal its id.
func ID(id string) answered {
	return answered{sets: func(s *workflow.Signal) { s.ID = id }}
}

// TTL lets a signal expire when no wait takes it in time.
func TTL(d time.Duration) answered {
	return answered{sets: func(s *workflow.Signal) { s.ExpiresAt = workflow.InstantOf(time.Now()).Add(d) }}
}

// Force sends a signal that the workflow can never wait for.
func Force() answered { return answered{sets: func(s *workflow.Signal) { s.Force = true }} }

// Now the words that say what must be true.

// Status is where an execution stands.
func Status(exec string, want workflow.Status) act {
	return func(w *world) error {
		s, err := w.node.Execution(w.ctx, exec)
		if err != nil {
			return err
		}
		if s.Status != want {
			return fail("%s is %s (%s), want %s", exec, s.Status, describe(s.Error), want)
		}
		return nil
	}
}

// Failed is why an execution did not end well.
func Failed(exec, code string) act {
	return func(w *world) error {
		s, err := w.node.Execution(w.ctx, exec)
		if err != nil {
			return err
		}
		if s.Error == nil || s.Error.Code != code {
			return fail("%s: its error is %s, want %s", exec, describe(s.Error), code)
		}
		return nil
	}
}

// Task is where a task of an execution stands.
func Task(exec, task string, want workflow.Status) act {
	return func(w *world) error {
		ts, err := w.task(exec, task)
		if err != nil {
			return err
		}
		if ts == nil && want == "" {
			return nil
		}
		if ts == nil || ts.Status != want {
			return fail("task %s of %s is %s, want %q", task, exec, describe(ts), want)
		}
		return nil
	}
}

// Output is the whole output of a task, as JSON.
func Output(exec, task, want string) act {
	return func(w *world) error {
		ts, err := w.task(exec, task)
		if err != nil {
			return err
		}
		if ts == nil {
			return fail("task %s of %s has not started", task, exec)
		}
		return same(ts.Output, want)
	}
}

// Says is a part of a task's output, as JSON text.
func Says(exec, task, part string) act {
	return func(w *world) error {
		ts, err := w.task(exec, task)
		if err != nil {
			return err
		}
		if ts == nil {
			return fail("task %s of %s has not started", task, exec)
		}
		return contain(string(ts.Output), part)
	}
}

// Result is the whole output of an execution, as JSON.
func Result(exec, want string) act {
	return func(w *world) error {
		s, err := w.node.Execution(w.ctx, exec)
		if err != nil {
			return err
		}
		return same(s.Result(), want)
	}
}

// Attempts is how often a task was tried in its last run.
func Attempts(exec, task string, want int) act {
	return func(w *world) error {
		ts, err := w.task(exec, task)
		if err != nil {
			return err
		}
		if ts == nil || ts.Attempt != want {
			return fail("task %s of %s is %s, want attempt %d", task, exec, describe(ts), want)
		}
		return nil
	}
}

// Records is how many records of a type the history has.
func Records(exec, kind string, want int) act {
	return func(w *world) error {
		records, err := w.history(exec)
		if err != nil {
			return err
		}
		n := 0
		for _, r := range records {
			if r.Type == kind {
				n++
			}
		}
		if n != want {
			return fail("the history of %s has %d records %s, want %d", exec, n, kind, want)
		}
		return nil
	}
}

// Waits is how many waits of a name are open in the whole node.
func Waits(name string, want int) act {
	return func(w *world) error {
		page, err := w.node.Waits(w.ctx, workflow.WaitQuery{Name: name, Limit: 100})
		if err != nil {
			return err
		}
		if len(page.Items) != want {
			return fail("%d waits for %q are open, want %d: %+v", len(page.Items), name, want, page.Items)
		}
		return nil
	}
}

// Receipt is the fate of a signal.
func Receipt(signal string, want workflow.Fate) act {
	return func(w *world) error {
		receipts, err := w.node.SignalReceipts(w.ctx, signal, 2)
		if err != nil {
			return err
		}
		if len(receipts) != 1 || receipts[0].Fate != want {
			return fail("the receipts of signal %s are %+v, want one that is %s", signal, receipts, want)
		}
		return nil
	}
}

// EventFate is the fate of an event and how many listeners it reached.
func EventFate(id string, want workflow.Fate, reached int) act {
	return func(w *world) error {
		receipt, err := w.node.EventReceipt(w.ctx, id)
		if err != nil {
			return err
		}
		if receipt == nil {
			return fail("there is no receipt of event %s", id)
		}
		n := 0
		for _, d := range receipt.Deliveries {
			if d.Outcome == "started" || d.Outcome == "delivered" {
				n++
			}
		}
		if receipt.Fate != want || n != reached {
			return fail("event %s is %s (%s) and reached %d, want %s and %d: %+v", id, receipt.Fate, receipt.Reason, n, want, reached, receipt.Deliveries)
		}
		return nil
	}
}

// Executions is how many executions of a workflow stand somewhere. It also
// takes those that an event started into the replay at the end.
func Executions(workflowID string, status workflow.Status, want int) act {
	return func(w *world) error {
		page, err := w.node.Executions(w.ctx, workflow.Query{WorkflowID: workflowID, Status: status, Limit: 100})
		if err != nil {
			return err
		}
		for _, s := range page.Items {
			w.started[s.ExecID] = true
		}
		if len(page.Items) != want {
			return fail("%d executions of %s are %s, want %d", len(page.Items), workflowID, status, want)
		}
		return nil
	}
}

// Of does something with the one execution of a workflow that an event started.
func Of(workflowID string, then func(exec string) act) act {
	return func(w *world) error {
		page, err := w.node.Executions(w.ctx, workflow.Query{WorkflowID: workflowID, Limit: 2})
		if err != nil {
			return err
		}
		if len(page.Items) != 1 {
			return fail("there are %d executions of %s, want one", len(page.Items), workflowID)
		}
		w.started[page.Items[0].ExecID] = true
		return then(page.Items[0].ExecID)(w)
	}
}

func (w *world) task(exec, task string) (*workflow.TaskState, error) {
	s, err := w.node.Execution(w.ctx, exec)
	if err != nil {
		return nil, err
	}
	return s.Task(task), nil
}

func (w *world) history(exec string) ([]workflow.Record, error) {
	var all []workflow.Record
	for {
		var after uint64
		if len(all) > 0 {
			after = all[len(all)-1].Seq
		}
		page, err := w.node.History(w.ctx, exec, after, 100)
		if err != nil {
			return nil, err
		}
		if len(page) == 0 {
			return all, nil
		}
		all = append(all, page...)
	}
}

// replay folds the inputs of every history from nothing: the result must be
// the stored state, byte for byte.
func (w *world) replay() {
	w.t.Helper()
	for exec := range w.started {
		if err := w.replayOne(exec); err != nil {
			w.t.Errorf("replay of %s: %v", exec, err)
		}
	}
}

func (w *world) replayOne(exec string) error {
	records, err := w.history(exec)
	if err != nil {
		return err
	}
	stored, err := w.node.Execution(w.ctx, exec)
	if err != nil {
		return err
	}
	def := w.definition(stored.Definition)
	if def == nil {
		return fail("no workflow of the script has the hash %s", stored.Definition)
	}
	var s workflow.State
	for _, r := range records {
		in, err := r.Input()
		if err != nil {
			return err
		}
		if in == nil {
			continue
		}
		if s, _, _, err = workflow.Advance(def, s, in); err != nil {
			return err
		}
	}
	want, got := workflow.ValueOf(stored), workflow.ValueOf(&s)
	if string(want) != string(got) {
		return fail("stored %s\nreplayed %s", want, got)
	}
	return nil
}

func (w *world) definition(hash string) *workflow.Definition {
	for _, candidate := range w.project.Workflows {
		if candidate.Hash == hash {
			return candidate.Definition
		}
	}
	return nil
}

func same(got workflow.Value, want string) error {
	var a, b any
	if err := json.Unmarshal([]byte(want), &b); err != nil {
		return err
	}
	if err := json.Unmarshal(got, &a); err != nil {
		return fail("%w: %s", err, got)
	}
	if !reflect.DeepEqual(a, b) {
		return fail("got %s, want %s", got, want)
	}
	return nil
}

func contain(text, part string) error {
	if !strings.Contains(text, part) {
		return fail("%q does not say %q", text, part)
	}
	return nil
}

func describe(v any) string {
	if v == nil || reflect.ValueOf(v).Kind() == reflect.Pointer && reflect.ValueOf(v).IsNil() {
		return "nothing"
	}
	return string(workflow.ValueOf(v))
}
