package http

import (
	"context"
	"net/http"

	"github.com/signalbox/signalbox/workflow"
)

// seer is the part of a node that tells what is and what would be, and changes
// nothing.
type seer interface {
	// Why says what an execution waits for.
	Why(ctx context.Context, execID string) (*workflow.Why, error)
	// ForeseeSignals says what signals would do, one after the other; refusals are
	// part of it.
	ForeseeSignals(ctx context.Context, signals []workflow.Signal) []workflow.Forecast
	// ForeseeTogether says what signals to one execution would do that are accepted
	// all or none; refused is the first that would be refused, or -1.
	ForeseeTogether(ctx context.Context, signals []workflow.Signal) (forecasts []workflow.Forecast, refused int)
	// ForeseeEvents says whom events would reach, one after the other; refusals are
	// part of it.
	ForeseeEvents(ctx context.Context, events []workflow.Event) ([]workflow.EventForecast, error)
	// ForeseeStart says what a start would do; refusals are part of it.
	ForeseeStart(ctx context.Context, s workflow.Start) (workflow.Forecast, error)
}

// Why is what an execution waits for, and what else keeps it from going on.
type Why struct {
	ExecID      string            `json:"exec_id"`
	WorkflowID  string            `json:"workflow_id"`
	Status      workflow.Status   `json:"status"`
	Sentence    string            `json:"sentence"`
	Summary     string            `json:"summary,omitempty"` // how it ended, a pause or a quarantine: the part of the sentence that is of the whole
	Waits       []WhyWait         `json:"waits"`
	Tasks       []WhyTask         `json:"tasks"`
	Signals     []WhySignal       `json:"signals"` // that came and were not taken; of many the first
	Buffered    int               `json:"buffered"`
	Paused      *WhyPaused        `json:"paused,omitempty"`
	Quarantined string            `json:"quarantined,omitempty"` // the cause
	FinishedAt  Time              `json:"finished_at,omitzero"`
	Error       *workflow.Failure `json:"error,omitempty"`
}

// WhyWait is an open wait with what it takes and what follows at its deadline.
type WhyWait struct {
	WaitingTask
	ConditionNow string        `json:"condition_now,omitempty"` // with the values of the context filled in
	Collected    []string      `json:"collected,omitempty"`
	Missing      string        `json:"missing,omitempty"`
	VetoNow      string        `json:"veto_now,omitempty"`    // what vetoes it, with the values of the context filled in
	AskedAfter   []string      `json:"asked_after,omitempty"` // older waits for the same name, which get a signal first
	AtDeadline   string        `json:"at_deadline,omitempty"`
	Then         string        `json:"then,omitempty"`  // task that runs at the deadline
	Moves        []WhyMove     `json:"moves,omitempty"` // of its deadline, first one first
	Extensions   *WhyExtension `json:"extensions,omitempty"`
	Reminders    []WhyReminder `json:"reminders,omitempty"`
	Refused      []WhyRefused  `json:"refused,omitempty"`
	Text         string        `json:"text"`
}

// WhyMove is one move of an open wait's deadline: by hand, or by a signal.
type WhyMove struct {
	At       Time   `json:"at"`
	From     Time   `json:"from,omitzero"` // absent when there was none
	To       Time   `json:"to"`
	By       string `json:"by,omitempty"`
	Reason   string `json:"reason,omitempty"`
	SignalID string `json:"signal_id,omitempty"` // that extended it
	Whole    bool   `json:"whole,omitempty"`     // of all branches of the task
}

// WhyExtension is how signals move the deadline of an open wait.
type WhyExtension struct {
	SignalName string `json:"signal_name"`
	Times      int    `json:"times"`
	Max        int    `json:"max"`
}

// WhyReminder is one rung of an open wait's ladder.
type WhyReminder struct {
	Number int    `json:"number"`
	Does   string `json:"does"`
	Due    Time   `json:"due,omitzero"` // absent when it came
	Came   Time   `json:"came,omitzero"`
	Done   bool   `json:"done"`
	Note   string `json:"note,omitempty"` // what was odd about its coming
}

// WhyRefused is a kept signal that a wait did not take.
type WhyRefused struct {
	SignalID  string `json:"signal_id"`
	Reason    string `json:"reason"`
	Condition string `json:"condition,omitempty"` // with the values of signal and context
}

// WhyTask is a task that works, or will again.
type WhyTask struct {
	TaskID   string          `json:"task_id"`
	Status   workflow.Status `json:"status"`
	Run      int             `json:"run"`
	Attempt  int             `json:"attempt,omitempty"`
	Attempts int             `json:"attempts"` // at most
	Since    Time            `json:"since"`
	Until    Time            `json:"until,omitzero"` // the attempt's timeout, or the end of the hold
	Error    string          `json:"error,omitempty"`
	Text     string          `json:"text"`
}

// WhySignal is a signal that came and that no wait has taken.
type WhySignal struct {
	SignalID   string `json:"signal_id"`
	SignalName string `json:"signal_name"`
	ReceivedAt Time   `json:"received_at"`
	ExpiresAt  Time   `json:"expires_at,omitzero"`
	By         string `json:"by,omitempty"`
	Reason     string `json:"reason"`
	Text       string `json:"text"`
}

// WhyPaused says when and by whom a paused execution was paused, when that is known.
type WhyPaused struct {
	Since Time   `json:"since,omitzero"`
	By    string `json:"by,omitempty"`
}

// why answers what an execution waits for.
func (x *exchange) why() error {
	id, err := x.pathID("exec_id")
	if err != nil {
		return err
	}
	y, err := x.server.node.Why(x.context(), id)
	if err != nil {
		return err
	}
	return x.answer(http.StatusOK, "what the execution waits for", whyOf(y))
}

func whyOf(y *workflow.Why) Why {
	s := y.State
	out := Why{
		ExecID: s.ExecID, WorkflowID: s.WorkflowID, Status: s.Status, Sentence: y.Sentence, Summary: y.Summary,
		Waits: make([]WhyWait, 0, len(y.Waits)), Tasks: make([]WhyTask, 0, len(y.Tasks)), Signals: make([]WhySignal, 0, len(y.Signals)),
		Buffered: len(s.Buffer), Quarantined: y.Quarantine, FinishedAt: Time(s.FinishedAt), Error: s.Error,
	}
	if s.Paused {
		out.Paused = &WhyPaused{Since: Time(y.PausedAt), By: y.PausedBy}
	}
	for i := range y.Waits {
		w := &y.Waits[i]
		shown := WhyWait{
			WaitingTask: waitingTaskOf(s.ExecID, &w.OpenWait), ConditionNow: w.Takes, Collected: w.Collected, Missing: w.Missing,
			VetoNow: w.Vetoed, AskedAfter: w.Behind, AtDeadline: w.AtDeadline, Then: w.Then, Text: w.Text,
		}
		shown.inTime(w)
		for _, o := range w.Refused {
			shown.Refused = append(shown.Refused, WhyRefused{SignalID: o.Signal, Reason: o.Reason, Condition: o.Condition})
		}
		out.Waits = append(out.Waits, shown)
	}
	for _, t := range y.Tasks {
		out.Tasks = append(out.Tasks, WhyTask{
			TaskID: t.Task, Status: t.Status, Run: t.Run, Attempt: t.Attempt, Attempts: t.Attempts,
			Since: Time(t.Since), Until: Time(t.Until), Error: t.Error, Text: t.Text,
		})
	}
	for i := range y.Signals {
		b := &y.Signals[i]
		out.Signals = append(out.Signals, WhySignal{
			SignalID: b.ID, SignalName: b.Name, ReceivedAt: Time(b.ReceivedAt), ExpiresAt: Time(b.ExpiresAt), By: b.By,
			Reason: b.Reason, Text: b.Text,
		})
	}
	return out
}

// inTime shows how the deadline was moved, and the reminders.
func (shown *WhyWait) inTime(w *workflow.WhyWait) {
	for _, m := range w.Moves {
		shown.Moves = append(shown.Moves, WhyMove{
			At: Time(m.At), From: Time(m.From), To: Time(m.To), By: m.By, Reason: m.Reason, SignalID: m.Signal, Whole: m.Whole,
		})
	}
	for _, r := range w.Reminders {
		shown.Reminders = append(shown.Reminders, WhyReminder{Number: r.Rung, Does: r.Does, Due: Time(r.Due), Came: Time(r.Came), Done: r.Done, Note: r.Note})
	}
	if x := w.Extends; x != nil {
		shown.Extensions = &WhyExtension{SignalName: x.Name, Times: x.Times, Max: x.Max}
	}
}

// Why asks what an execution waits for.
func (c *Client) Why(ctx context.Context, execID string) (Why, error) {
	return call[Why](ctx, c, "GET", executionURL(execID)+"/why", nil, nil)
}
