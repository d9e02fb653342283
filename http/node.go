package http

import (
	"context"

	"github.com/signalbox/signalbox/definitions"
	"github.com/signalbox/signalbox/workflow"
)

// Node is all that the front door needs of the rest of the house. Package
// runtime satisfies it. Errors are *workflow.Refusal where the caller can do
// something about them.
type Node interface {
	seer
	undertaker
	bookkeeper

	// Signal returns after the signal is durable, or with a refusal when nothing was kept.
	Signal(ctx context.Context, s workflow.Signal) (workflow.Answer, error)
	// Signals delivers many signals, those of one execution in their order, and
	// returns one result for each.
	Signals(ctx context.Context, signals []workflow.Signal, into []workflow.SignalResult) []workflow.SignalResult
	// SignalsTogether delivers signals to one execution in one commit, or none of
	// them: then refused is the index of the one that was to blame, or -1.
	SignalsTogether(ctx context.Context, signals []workflow.Signal) (answers []workflow.Answer, refused int, err error)
	// Events accepts many events and returns one result for each.
	Events(ctx context.Context, events []workflow.Event) []workflow.EventResult
	// Event returns after the event is durable. known: the id had been accepted before.
	Event(ctx context.Context, e workflow.Event) (stored *workflow.EventReceipt, known bool, err error)
	// Begin returns after the new execution is durable, or the one that was started
	// before under the same id or that has the same unique key; see workflow.Start.
	Begin(ctx context.Context, s workflow.Start) (workflow.Begun, error)
	// Broadcast returns when a signal to every live execution that a filter selects
	// is durable and under way; known: the same was asked for before.
	Broadcast(ctx context.Context, b workflow.Broadcast) (one *workflow.Broadcast, known bool, err error)
	// CountTargets says how many executions match, at most one more than a
	// broadcast may reach, and the first few.
	CountTargets(ctx context.Context, f workflow.Filter) (matched int, sample []string, err error)
	ReadBroadcast(ctx context.Context, id string) (*workflow.Broadcast, error)
	Broadcasts(ctx context.Context) ([]*workflow.Broadcast, error)
	CancelBroadcast(ctx context.Context, id, reason string) (*workflow.Broadcast, error)
	Targets(ctx context.Context, id, outcome, cursor string, limit int) (workflow.Page[workflow.Target], error)
	// Steer pauses, resumes or cancels an execution, or moves the deadline of a
	// wait, and returns the execution afterwards.
	Steer(ctx context.Context, execID string, what workflow.Input) (*workflow.State, error)

	Execution(ctx context.Context, execID string) (*workflow.State, error)
	Executions(ctx context.Context, q workflow.Query) (workflow.Page[*workflow.State], error)
	History(ctx context.Context, execID string, after uint64, limit int) ([]workflow.Record, error)
	Waits(ctx context.Context, q workflow.WaitQuery) (workflow.Page[workflow.WaitRow], error)
	// SignalReceipts and EventReceipt return none, and nil, where they know of none.
	SignalReceipts(ctx context.Context, signalID string, limit int) ([]workflow.Receipt, error)
	EventReceipt(ctx context.Context, eventID string) (*workflow.EventReceipt, error)

	// Watch returns a channel that gets a value, without ever blocking the
	// sender, after each commit of the execution; stop ends the watch.
	Watch(execID string) (changed <-chan struct{}, stop func())

	// Workflows lists the current definitions, by id.
	Workflows() []*definitions.Workflow

	// Cluster says which nodes there are and what each holds.
	Cluster(ctx context.Context) workflow.Cluster

	Health() workflow.Health
}
