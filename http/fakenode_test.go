package http

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/signalbox/signalbox/definitions"
	"github.com/signalbox/signalbox/workflow"
)

// fakeNode is a small honest node in memory. It runs workflows with one wait:
// an execution waits for the workflow's first awaited name, a signal whose
// payload says {"decision":"pending"} does not satisfy the condition, any other
// one ends the execution. A payload with a "reason" that is no string breaks
// the wait's schema.
type fakeNode struct {
	fakeLetters
	mu         sync.Mutex
	workflows  []*definitions.Workflow
	executions map[string]*fakeExecution
	receipts   map[string]workflow.Receipt
	events     map[string]*workflow.EventReceipt
	broadcasts map[string]*workflow.Broadcast
	documents  map[string]map[string][]byte
	watches    map[string][]chan struct{}
	health     workflow.Health
	maxBuffer  int
	reads      int // of all documents of a kind

	fails        error                           // what every call answers, when set
	docFails     error                           // what calls for documents answer, when set
	beforeEvents func()                          // called by Events
	beforeReply  func(ctx context.Context) error // called by Signal after its checks, without the lock
}

type fakeExecution struct {
	state   workflow.State
	records []workflow.Record
}

func newFakeNode() *fakeNode {
	define := func(id string, awaits ...string) *definitions.Workflow {
		d := &workflow.Definition{
			ID: id, Version: "1.0.0", Hash: "hash-of-" + id, Awaits: awaits,
			Tasks:    []*workflow.Task{{ID: "wait-for-it", Kind: workflow.Wait, Wait: new(workflow.WaitSpec)}},
			Triggers: []workflow.Trigger{{Name: "request-" + id}},
		}
		return &definitions.Workflow{Definition: d.Link(), File: id + ".yaml", Bundle: []byte(`{"id":"` + id + `"}`)}
	}
	return &fakeNode{
		workflows:  []*definitions.Workflow{define("approval", "approval-decision"), define("order", "paid")},
		executions: make(map[string]*fakeExecution), receipts: make(map[string]workflow.Receipt),
		broadcasts: make(map[string]*workflow.Broadcast),
		events:     make(map[string]*workflow.EventReceipt), documents: make(map[string]map[string][]byte),
		watches: make(map[string][]chan struct{}), maxBuffer: 3,
		health: workflow.Health{Ready: true, Status: "ready", Durability: workflow.Fsync, Version: "test"},
	}
}

func (n *fakeNode) workflow(id string) *definitions.Workflow {
	for _, w := range n.workflows {
		if w.ID == id {
			return w
		}
	}
	return nil
}

func (n *fakeNode) execution(id string) (*fakeExecution, error) {
	if n.fails != nil {
		return nil, n.fails
	}
	e := n.executions[id]
	if e == nil {
		return nil, &workflow.Refusal{Code: workflow.CodeNoExecution, Message: fmt.Sprintf("there is no execution %q", id)}
	}
	return e, nil
}

// commit adds records and wakes the watchers.
func (n *fakeNode) commit(e *fakeExecution, at workflow.Instant, records ...workflow.Record) {
	for _, r := range records {
		e.state.Seq++
		r.Seq, r.At = e.state.Seq, at
		e.records = append(e.records, r)
	}
	e.state.Version++
	e.state.UpdatedAt = at
	for _, w := range n.watches[e.state.ExecID] {
		select {
		case w <- struct{}{}:
		default:
		}
	}
}

func (n *fakeNode) Begin(ctx context.Context, s workflow.Start) (workflow.Begun, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fails != nil {
		return workflow.Begun{}, n.fails
	}
	w := n.workflow(s.WorkflowID)
	if w == nil {
		return workflow.Begun{}, &workflow.Refusal{Code: workflow.CodeNoWorkflow, Message: fmt.Sprintf("there is no workflow %q", s.WorkflowID)}
	}
	if s.ExecID == "" && s.Seed != "" {
		s.ExecID = workflow.DerivedID("start", s.WorkflowID, s.Seed)
	} else if s.ExecID == "" {
		s.ExecID = mintID(time.Now())
	}
	if e := n.executions[s.ExecID]; e != nil {
		if s.Signal != nil {
			return n.beginSignal(ctx, s, false)
		}
		if string(e.state.Input) != string(s.Input) || e.state.WorkflowID != s.WorkflowID {
			return workflow.Begun{}, &workflow.Refusal{Code: workflow.CodeExecutionExists, Message: "the execution exists with another input"}
		}
		state := e.state
		return workflow.Begun{State: &state, Started: true, Known: true}, nil
	}
	now := workflow.InstantOf(time.Now())
	labels, _ := workflow.Labels(s.Labels)
	e := &fakeExecution{state: workflow.State{
		ExecID: s.ExecID, WorkflowID: s.WorkflowID, Definition: w.Hash, Status: workflow.Waiting,
		Input: s.Input, Key: s.Key, Labels: labels, Trigger: s.Origin, CreatedAt: now, UpdatedAt: now,
		Tasks: []workflow.TaskState{{ID: "wait-for-it", Kind: workflow.Wait, Run: 1, Attempt: 1, Status: workflow.Waiting, CreatedAt: now, UpdatedAt: now}},
		Waits: []workflow.OpenWait{{ID: "wait-for-it/1", Task: "wait-for-it", Name: w.Awaits[0], Condition: `signal.payload.decision != "pending"`, OpenedAt: now}},
	}}
	n.executions[s.ExecID] = e
	n.commit(e, now, workflow.Record{Type: workflow.Started{}.Kind(), Data: s.Input},
		workflow.Record{Type: workflow.WaitOpened, Task: "wait-for-it", Wait: "wait-for-it/1"})
	if s.Signal != nil {
		return n.beginSignal(ctx, s, true)
	}
	state := e.state
	return workflow.Begun{State: &state, Started: true}, nil
}

// beginSignal delivers the signal of a start, with the lock held.
func (n *fakeNode) beginSignal(ctx context.Context, s workflow.Start, started bool) (workflow.Begun, error) {
	signal := *s.Signal
	signal.ExecID = s.ExecID
	n.mu.Unlock()
	answer, err := n.Signal(ctx, signal)
	n.mu.Lock()
	if err != nil {
		return workflow.Begun{}, err
	}
	state := n.executions[s.ExecID].state
	return workflow.Begun{State: &state, Started: started, Known: answer.Duplicate, Answer: &answer}, nil
}

func (n *fakeNode) Signal(ctx context.Context, s workflow.Signal) (workflow.Answer, error) {
	if n.beforeReply != nil {
		if err := n.beforeReply(ctx); err != nil {
			return workflow.Answer{}, err
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	e, err := n.execution(s.ExecID)
	if err != nil {
		return workflow.Answer{}, err
	}
	if r, ok := n.receipts[s.ID+"/"+s.ExecID]; ok {
		if r.Digest != s.Digest() {
			return workflow.Answer{}, &workflow.Refusal{Code: workflow.CodeIDReused, Message: "the signal id was used for another signal",
				Details: map[string]any{"first_digest": r.Digest, "digest": s.Digest()}}
		}
		answer := r.Answer
		answer.Duplicate = true
		return answer, nil
	}
	if err := n.refusal(e, s); err != nil {
		return workflow.Answer{}, err
	}
	answer := workflow.Answer{SignalID: s.ID, Outcome: workflow.KeptForWait, ExpiresAt: s.ExpiresAt, Status: e.state.Status}
	var payload struct{ Decision string }
	_ = json.Unmarshal(s.Payload, &payload)
	switch {
	case len(e.state.Waits) == 0 || e.state.Waits[0].Name != s.Name:
		answer.Reason = "no wait for this signal is open now"
		n.commit(e, s.ReceivedAt, workflow.Record{Type: workflow.SignalBuffered, Signal: s.ID})
	case payload.Decision == "pending":
		answer.Reason = `the condition signal.payload.decision != "pending" is false`
		answer.WaitID, answer.WaitTask = "wait-for-it/1", "wait-for-it"
		n.commit(e, s.ReceivedAt, workflow.Record{Type: workflow.SignalBuffered, Signal: s.ID, Reason: answer.Reason})
	default:
		answer = workflow.Answer{SignalID: s.ID, Outcome: workflow.Delivered, WaitID: "wait-for-it/1", WaitTask: "wait-for-it", Status: workflow.Success}
		n.finish(e, s)
	}
	if answer.Outcome == workflow.KeptForWait {
		e.state.Buffer = append(e.state.Buffer, workflow.Buffered{Signal: s})
	}
	n.receipts[s.ID+"/"+s.ExecID] = workflow.Receipt{
		SignalID: s.ID, ExecID: s.ExecID, Name: s.Name, Digest: s.Digest(), By: s.By, Source: s.Source,
		Fate:   map[workflow.Outcome]workflow.Fate{workflow.Delivered: workflow.FateConsumed, workflow.KeptForWait: workflow.FateBuffered}[answer.Outcome],
		Answer: answer, At: s.ReceivedAt, Steps: []workflow.Step{{At: s.ReceivedAt, What: "accepted", Record: e.state.Seq}},
	}
	return answer, nil
}

func (n *fakeNode) refusal(e *fakeExecution, s workflow.Signal) error {
	var payload struct{ Reason any }
	_ = json.Unmarshal(s.Payload, &payload)
	_, isText := payload.Reason.(string)
	switch {
	case e.state.Status.Finished():
		return &workflow.Refusal{Code: workflow.CodeFinished, Message: "the execution has finished", Details: map[string]any{"status": e.state.Status}}
	case payload.Reason != nil && !isText:
		return &workflow.Refusal{Code: workflow.CodePayloadInvalid, Message: "the payload breaks the wait's schema",
			Violations: []workflow.Violation{{Pointer: "/payload/reason", Message: "must be a string"}}}
	case !s.Force && !slices.Contains(n.workflow(e.state.WorkflowID).Awaits, s.Name):
		return &workflow.Refusal{Code: workflow.CodeNeverAwaited, Message: "the workflow never waits for it", Hint: `did you mean "approval-decision"?`}
	case len(e.state.Buffer) >= n.maxBuffer:
		return &workflow.Refusal{Code: workflow.CodeBufferFull, Message: "the execution holds too many signals", RetryAfter: 1500 * time.Millisecond}
	}
	return nil
}

func (n *fakeNode) finish(e *fakeExecution, s workflow.Signal) {
	e.state.Status, e.state.FinishedAt, e.state.Waits = workflow.Success, s.ReceivedAt, nil
	e.state.Output = workflow.ValueOf(map[string]any{"by": s.ID})
	e.state.Tasks[0].Status = workflow.Success
	n.commit(e, s.ReceivedAt,
		workflow.Record{Type: workflow.Signalled{}.Kind(), Signal: s.ID, Data: s.Payload},
		workflow.Record{Type: workflow.SignalConsumed, Signal: s.ID, Wait: "wait-for-it/1"},
		workflow.Record{Type: workflow.ExecutionFinished})
}

func (n *fakeNode) Event(ctx context.Context, ev workflow.Event) (*workflow.EventReceipt, bool, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fails != nil {
		return nil, false, n.fails
	}
	if r := n.events[ev.ID]; r != nil {
		return r, true, nil
	}
	r := &workflow.EventReceipt{Event: ev, Fate: workflow.FateConsumed,
		Steps:      []workflow.Step{{At: ev.ReceivedAt, What: "accepted"}},
		Deliveries: []workflow.Delivery{{Kind: "trigger", WorkflowID: "approval", ExecID: "started-by-" + ev.ID, Outcome: "started", At: ev.ReceivedAt}}}
	n.events[ev.ID] = r
	return r, false, nil
}

func (n *fakeNode) Signals(ctx context.Context, signals []workflow.Signal, into []workflow.SignalResult) []workflow.SignalResult {
	for _, s := range signals {
		answer, err := n.Signal(ctx, s)
		into = append(into, workflow.SignalResult{Answer: answer, Err: err})
	}
	return into
}

// SignalsTogether keeps none when the first of those that it would refuse is a
// signal to a finished execution; the real node knows more reasons.
func (n *fakeNode) SignalsTogether(ctx context.Context, signals []workflow.Signal) ([]workflow.Answer, int, error) {
	answers := make([]workflow.Answer, len(signals))
	for i, s := range signals {
		var err error
		if answers[i], err = n.Signal(ctx, s); err != nil {
			return nil, i, err
		}
	}
	return answers, -1, nil
}

func (n *fakeNode) Events(ctx context.Context, events []workflow.Event) []workflow.EventResult {
	if n.beforeEvents != nil {
		n.beforeEvents()
	}
	results := make([]workflow.EventResult, len(events))
	for i, e := range events {
		results[i].Stored, results[i].Known, results[i].Err = n.Event(ctx, e)
	}
	return results
}

func (n *fakeNode) Steer(ctx context.Context, execID string, what workflow.Input) (*workflow.State, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	e, err := n.execution(execID)
	if err != nil {
		return nil, err
	}
	if e.state.Status.Finished() {
		return nil, &workflow.Refusal{Code: workflow.CodeFinished, Message: "the execution has finished"}
	}
	switch what := what.(type) {
	case workflow.DeadlineMoved:
		if refusal := workflow.AdmitMove(&e.state, what); refusal != nil {
			return nil, refusal
		}
		e.state.Waits[0].Deadline = what.Deadline
	case workflow.PauseAsked:
		if e.state.Paused {
			return nil, &workflow.Refusal{Code: workflow.CodeWrongStatus, Message: "the execution is paused already"}
		}
		e.state.Paused, e.state.Status = true, workflow.Paused
	case workflow.ResumeAsked:
		e.state.Paused, e.state.Status = false, workflow.Waiting
	case workflow.CancelAsked:
		e.state.Status, e.state.Waits, e.state.FinishedAt = workflow.Canceled, nil, what.When()
	}
	n.commit(e, what.When(), workflow.Record{Type: what.Kind()})
	state := e.state
	return &state, nil
}

func (n *fakeNode) Execution(ctx context.Context, execID string) (*workflow.State, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	e, err := n.execution(execID)
	if err != nil {
		return nil, err
	}
	state := e.state
	return &state, nil
}

// page cuts one page out of sorted items; the cursor is the last item's id.
func page[T any](items []T, id func(T) string, limit int, cursor string) workflow.Page[T] {
	if cursor != "" {
		at := slices.IndexFunc(items, func(i T) bool { return id(i) == cursor })
		items = items[at+1:]
	}
	if len(items) <= limit {
		return workflow.Page[T]{Items: items}
	}
	return workflow.Page[T]{Items: items[:limit], Next: id(items[limit-1])}
}

func (n *fakeNode) Executions(ctx context.Context, q workflow.Query) (workflow.Page[*workflow.State], error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fails != nil {
		return workflow.Page[*workflow.State]{}, n.fails
	}
	var states []*workflow.State
	for _, e := range n.executions {
		state := e.state
		if q.Selects(&state) {
			states = append(states, &state)
		}
	}
	slices.SortFunc(states, func(a, b *workflow.State) int {
		return cmp.Or(cmp.Compare(b.CreatedAt, a.CreatedAt), cmp.Compare(a.ExecID, b.ExecID))
	})
	return page(states, func(s *workflow.State) string { return s.ExecID }, q.Limit, q.Cursor), nil
}

func (n *fakeNode) History(ctx context.Context, execID string, after uint64, limit int) ([]workflow.Record, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	e, err := n.execution(execID)
	if err != nil {
		return nil, err
	}
	rest := e.records[min(after, uint64(len(e.records))):]
	return slices.Clone(rest[:min(limit, len(rest))]), nil
}

func (n *fakeNode) Waits(ctx context.Context, q workflow.WaitQuery) (workflow.Page[workflow.WaitRow], error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var rows []workflow.WaitRow
	for _, id := range slices.Sorted(maps.Keys(n.executions)) {
		state := n.executions[id].state
		for _, w := range state.Waits {
			if (q.Name == "" || q.Name == w.Name) && (q.WorkflowID == "" || q.WorkflowID == state.WorkflowID) {
				rows = append(rows, workflow.WaitRow{ExecID: id, WorkflowID: state.WorkflowID, OpenWait: w})
			}
		}
	}
	return page(rows, func(r workflow.WaitRow) string { return r.ExecID }, q.Limit, q.Cursor), n.fails
}

func (n *fakeNode) Why(_ context.Context, execID string) (*workflow.Why, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	e, err := n.execution(execID)
	if err != nil {
		return nil, err
	}
	return workflow.Explain(n.workflow(e.state.WorkflowID).Definition, &e.state, workflow.InstantOf(time.Now()), workflow.Circumstance{}), nil
}

func (n *fakeNode) ForeseeSignals(_ context.Context, signals []workflow.Signal) []workflow.Forecast {
	n.mu.Lock()
	defer n.mu.Unlock()
	forecasts := make([]workflow.Forecast, len(signals))
	for i, sig := range signals {
		f := &forecasts[i]
		e, err := n.execution(sig.ExecID)
		if errors.As(err, &f.Refusal) {
			continue
		}
		*f = workflow.Foretell(&e.state, nil, nil, nil)
		f.Answer = &workflow.Answer{SignalID: sig.ID, Outcome: workflow.KeptForWait, Status: e.state.Status}
		f.Opinions = []workflow.Opinion{{Signal: sig.ID, Wait: "wait-for-it/1", Task: "wait-for-it", Reason: "1 > 2 is false", Condition: "1 > 2"}}
		f.Records = []workflow.Record{{Type: workflow.SignalBuffered, Signal: sig.ID}}
		f.Runs = []workflow.RunTask{{Task: "t", Run: 1, Attempt: 1, Executor: "tool", Request: workflow.Value(`{"secret":"no"}`)}}
		f.Emits = []workflow.Event{{Name: "e", Payload: workflow.Value(`{}`)}}
		f.Armed = []workflow.Timer{{ID: "sleep:t", Kind: workflow.TimerSleep, Of: "t", Due: 1}}
	}
	return forecasts
}

func (n *fakeNode) ForeseeTogether(ctx context.Context, signals []workflow.Signal) ([]workflow.Forecast, int) {
	forecasts := n.ForeseeSignals(ctx, signals)
	return forecasts, slices.IndexFunc(forecasts, func(f workflow.Forecast) bool { return f.Refusal != nil })
}

func (n *fakeNode) ForeseeEvents(_ context.Context, events []workflow.Event) ([]workflow.EventForecast, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	forecasts := make([]workflow.EventForecast, len(events))
	for i, e := range events {
		f := &forecasts[i]
		*f = workflow.EventForecast{EventID: e.ID, Fate: workflow.FateDead, Reason: "nobody listens", Stored: n.events[e.ID]}
		if f.Stored != nil {
			f.Fate = f.Stored.Fate
		}
		f.Passed = []workflow.DeliveryForecast{{Delivery: workflow.Delivery{Kind: "wait", ExecID: "x", WaitID: "w/1", Outcome: "passed", Reason: "no"}}}
	}
	return forecasts, n.fails
}

func (n *fakeNode) ForeseeStart(_ context.Context, s workflow.Start) (workflow.Forecast, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f := workflow.Forecast{ExecID: s.ExecID, WorkflowID: s.WorkflowID, Status: workflow.Waiting, Started: true}
	if n.workflow(s.WorkflowID) == nil {
		f.Refusal = &workflow.Refusal{Code: workflow.CodeNoWorkflow, Message: "there is no such workflow"}
	}
	return f, n.fails
}

func (n *fakeNode) SignalReceipts(ctx context.Context, signalID string, limit int) ([]workflow.Receipt, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var found []workflow.Receipt
	for _, key := range slices.Sorted(maps.Keys(n.receipts)) {
		if r := n.receipts[key]; r.SignalID == signalID {
			found = append(found, r)
		}
	}
	return found, n.fails
}

func (n *fakeNode) EventReceipt(ctx context.Context, eventID string) (*workflow.EventReceipt, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if r := n.events[eventID]; r != nil {
		return r, n.fails
	}
	return nil, n.fails
}

func (n *fakeNode) Watch(execID string) (<-chan struct{}, func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	changed := make(chan struct{}, 1)
	n.watches[execID] = append(n.watches[execID], changed)
	return changed, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.watches[execID] = slices.DeleteFunc(n.watches[execID], func(c chan struct{}) bool { return c == changed })
	}
}

// watching counts the open watches.
func (n *fakeNode) watching() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	count := 0
	for _, w := range n.watches {
		count += len(w)
	}
	return count
}

func (n *fakeNode) Workflows() []*definitions.Workflow { return n.workflows }

func (n *fakeNode) PutDocument(ctx context.Context, kind, id string, body []byte) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.docFails != nil {
		return n.docFails
	}
	if n.documents[kind] == nil {
		n.documents[kind] = make(map[string][]byte)
	}
	n.documents[kind][id] = slices.Clone(body)
	if body == nil {
		delete(n.documents[kind], id)
	}
	return nil
}

func (n *fakeNode) Documents(ctx context.Context, kind, after string, limit int) (ids []string, bodies [][]byte, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.reads++
	if n.docFails != nil {
		return nil, nil, n.docFails
	}
	for _, id := range slices.Sorted(maps.Keys(n.documents[kind])) {
		if id > after && len(ids) < limit {
			ids, bodies = append(ids, id), append(bodies, n.documents[kind][id])
		}
	}
	return ids, bodies, nil
}

func (n *fakeNode) Health() workflow.Health { return n.health }

func (n *fakeNode) Cluster(context.Context) workflow.Cluster {
	return workflow.Cluster{Clustered: true, Self: "a", View: 7, Moving: true, Members: []workflow.Member{
		{ID: "a", Address: "10.0.0.1:8090", Version: "1.2.3", JoinedAt: 1_700_000_000_000, Answers: true, Partitions: 1024, Live: 3},
		{ID: "b", Address: "10.0.0.2:8090", Version: "1.2.3", JoinedAt: 1_700_000_000_001, Answers: true, Leaving: true, Live: 2, HandingOver: 2, Pending: 1},
		{ID: "c", Address: "10.0.0.3:8090", Version: "1.2.3", JoinedAt: 1_700_000_000_002},
	}}
}

// Broadcast delivers nothing: it waits to be canceled.
func (n *fakeNode) Broadcast(ctx context.Context, b workflow.Broadcast) (*workflow.Broadcast, bool, error) {
	matched, _, err := n.CountTargets(ctx, b.Filter)
	if err != nil {
		return nil, false, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	b.Identify()
	if first := n.broadcasts[b.ID]; first != nil {
		if first.Digest != b.Digest {
			return nil, false, &workflow.Refusal{Code: workflow.CodeIDReused, Message: "another broadcast"}
		}
		return first, true, nil
	}
	b.State, b.CreatedAt = workflow.BroadcastDelivering, workflow.InstantOf(time.Now())
	b.UpdatedAt, b.Matched = b.CreatedAt, matched
	n.broadcasts[b.ID] = &b
	return &b, false, nil
}

func (n *fakeNode) CountTargets(_ context.Context, f workflow.Filter) (int, []string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var ids []string
	for id, e := range n.executions {
		if f.Selects(&e.state) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return len(ids), ids, n.fails
}

func (n *fakeNode) ReadBroadcast(_ context.Context, id string) (*workflow.Broadcast, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fails != nil {
		return nil, n.fails
	}
	if n.broadcasts[id] == nil {
		return nil, &workflow.Refusal{Code: workflow.CodeNoBroadcast, Message: fmt.Sprintf("there is no broadcast %q", id)}
	}
	return n.broadcasts[id], nil
}

func (n *fakeNode) Broadcasts(context.Context) ([]*workflow.Broadcast, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Collect(maps.Values(n.broadcasts)), n.fails
}

func (n *fakeNode) CancelBroadcast(ctx context.Context, id, reason string) (*workflow.Broadcast, error) {
	b, err := n.ReadBroadcast(ctx, id)
	if err != nil {
		return nil, err
	}
	if b.State.Final() {
		return nil, &workflow.Refusal{Code: workflow.CodeWrongStatus, Message: "the broadcast has ended"}
	}
	b.State, b.Reason, b.FinishedAt = workflow.BroadcastCanceled, reason, workflow.InstantOf(time.Now())
	return b, nil
}

func (n *fakeNode) Targets(ctx context.Context, id, outcome, cursor string, limit int) (workflow.Page[workflow.Target], error) {
	b, err := n.ReadBroadcast(ctx, id)
	if err != nil {
		return workflow.Page[workflow.Target]{}, err
	}
	_, ids, _ := n.CountTargets(ctx, b.Filter)
	var targets []workflow.Target
	for _, exec := range ids {
		targets = append(targets, workflow.Target{ExecID: exec})
	}
	return page(targets, func(t workflow.Target) string { return t.ExecID }, limit, cursor), nil
}
