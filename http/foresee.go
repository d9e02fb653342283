package http

import (
	"context"
	"net/http"
	"net/url"

	"github.com/signalbox/signalbox/workflow"
)

// dryRun is the parameter that asks what would happen.
const dryRun = "dry_run"

// Forecast is what a signal or a start would do if it were sent now. Nothing of
// it has happened.
type Forecast struct {
	DryRun      bool             `json:"dry_run"`      // true
	WouldAnswer int              `json:"would_answer"` // status of the answer that the request would get
	ExecID      string           `json:"exec_id,omitempty"`
	WorkflowID  string           `json:"workflow_id,omitempty"`
	StatusNow   workflow.Status  `json:"status_now,omitempty"` // absent when there is no such execution
	Status      workflow.Status  `json:"status,omitempty"`     // afterwards
	Refusal     *Problem         `json:"refusal,omitempty"`    // it would be refused, and nothing else would happen
	Duplicate   bool             `json:"duplicate"`            // it was accepted before; nothing else would happen
	Started     bool             `json:"started"`              // an execution would come to life
	Answer      *SignalAnswer    `json:"answer,omitempty"`     // to a signal
	Waits       []WaitOpinion    `json:"waits"`                // of the signal's name, in the order in which they are asked
	Steps       []ForecastStep   `json:"steps"`                // of the history, up to the next effects
	Runs        []ForecastRun    `json:"runs"`
	Stops       []string         `json:"stops,omitempty"` // tasks whose work would be interrupted
	Emits       []ForecastEvent  `json:"emits"`
	Timers      []ForecastTimer  `json:"timers"`
	Opens       []WaitingTask    `json:"opens"`
	Closes      []string         `json:"closes,omitempty"` // ids of waits
	Output      workflow.Value   `json:"output,omitempty"`
	Error       *ForecastFailure `json:"error,omitempty"`
	Takes       []TakeForecast   `json:"takes,omitempty"` // kept events that would be taken then by waits which it opens
	More        bool             `json:"more,omitempty"`  // there are more of them than were looked at
}

// WaitOpinion is what an open wait makes of a signal.
type WaitOpinion struct {
	ID        string `json:"id"`
	TaskID    string `json:"task_id"`
	Branch    string `json:"branch,omitempty"`
	Takes     bool   `json:"takes"`
	Reason    string `json:"reason,omitempty"`    // why not, with the values that decided
	Condition string `json:"condition,omitempty"` // with the values of signal and context filled in
	Processor string `json:"processor,omitempty"` // task that works on the signal before it is known
	Vetoes    bool   `json:"vetoes,omitempty"`
	Busy      bool   `json:"busy,omitempty"`
	Behind    string `json:"behind,omitempty"` // the wait that is asked first and takes it
}

// ForecastStep is a record that the history would have.
type ForecastStep struct {
	Type   string `json:"type"`
	Task   string `json:"task,omitempty"`
	Wait   string `json:"wait,omitempty"`
	Signal string `json:"signal,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// ForecastRun is work that an executor would be asked for. The secrets in its
// request are masked.
type ForecastRun struct {
	TaskID   string         `json:"task_id"`
	Run      int            `json:"run"`
	Attempt  int            `json:"attempt"`
	Executor string         `json:"executor"`
	Request  workflow.Value `json:"request,omitempty"`
	Timeout  string         `json:"timeout"`
}

// ForecastEvent is an event that would be sent.
type ForecastEvent struct {
	Name    string         `json:"name"`
	Payload workflow.Value `json:"payload,omitempty"`
}

// ForecastTimer is a timer that would be armed.
type ForecastTimer struct {
	Kind workflow.TimerKind `json:"kind"`
	Of   string             `json:"of"`
	Due  Time               `json:"due"`
}

// ForecastFailure is how an execution would end badly.
type ForecastFailure struct {
	Code    string `json:"code,omitempty"`
	Message string `json:"message"`
}

// dry reports whether the request only asks what would happen. Such an answer
// promises no durability.
func (x *exchange) dry() (bool, error) {
	dry, err := x.flag(dryRun)
	x.promiseless = dry
	return dry, err
}

// foreseeSignal answers what a signal would do.
func (x *exchange) foreseeSignal(signal workflow.Signal) error {
	forecasts := x.server.node.ForeseeSignals(x.context(), []workflow.Signal{signal})
	return x.answer(http.StatusOK, "dry run: nothing was sent", x.forecastOf(&forecasts[0], http.StatusOK))
}

// foreseeStart answers what a start would do. One that waits for the end is
// answered with 200 when that comes in time.
func (x *exchange) foreseeStart(start workflow.Start, sync bool) error {
	f, err := x.server.node.ForeseeStart(x.context(), start)
	if err != nil {
		return refusedStart(&start, err)
	}
	f.Refusal = startRefusal(&start, f.Refusal)
	status := http.StatusAccepted
	if sync || f.Answer != nil && !f.Started && !f.Known {
		status = http.StatusOK
	}
	return x.answer(http.StatusOK, "dry run: nothing was started", x.forecastOf(&f, status))
}

// mayLook reports whether the content of executions may be shown: who may only
// send gets the verdict and no more than the real answer would say.
func (x *exchange) mayLook() bool { return x.server.keys == nil || x.key.Has(ExecutionsRead) }

func (x *exchange) forecastOf(f *workflow.Forecast, status int) Forecast {
	look := x.mayLook()
	out := Forecast{
		DryRun: true, WouldAnswer: status, ExecID: f.ExecID, WorkflowID: f.WorkflowID, StatusNow: f.Was, Status: f.Status,
		Duplicate: f.Known, Started: f.Started, Answer: signalAnswerOf(f.Answer),
		Waits: make([]WaitOpinion, 0, len(f.Opinions)), Steps: make([]ForecastStep, 0, len(f.Records)),
		Runs: make([]ForecastRun, 0, len(f.Runs)), Emits: make([]ForecastEvent, 0, len(f.Emits)),
		Timers: make([]ForecastTimer, 0, len(f.Armed)), Opens: make([]WaitingTask, 0, len(f.Opened)),
	}
	if f.Refusal != nil {
		out.Refusal, _ = problemOf(f.Refusal)
		out.WouldAnswer = out.Refusal.Status
	}
	if out.Answer != nil {
		out.Answer.Message = "dry run: nothing was sent"
	}
	for _, o := range f.Opinions {
		shown := WaitOpinion{
			ID: o.Wait, TaskID: o.Task, Branch: o.Branch, Takes: o.Takes, Reason: o.Reason,
			Processor: o.Processor, Vetoes: o.Vetoes, Busy: o.Busy, Behind: o.Behind,
		}
		if look {
			shown.Condition = o.Condition
		}
		out.Waits = append(out.Waits, shown)
	}
	for i := range f.Records {
		r := &f.Records[i]
		out.Steps = append(out.Steps, ForecastStep{Type: r.Type, Task: r.Task, Wait: r.Wait, Signal: r.Signal, Reason: r.Reason})
	}
	for i := range f.Opened {
		out.Opens = append(out.Opens, waitingTaskOf(f.ExecID, &f.Opened[i]))
	}
	for i := range f.Closed {
		out.Closes = append(out.Closes, f.Closed[i].ID)
	}
	out.Takes, out.More = x.takesOf(f.Takes), f.More
	x.effectsOf(f, &out, look)
	return out
}

// effectsOf shows what would be done outside.
func (x *exchange) effectsOf(f *workflow.Forecast, out *Forecast, look bool) {
	for i := range f.Runs {
		run := ForecastRun{TaskID: f.Runs[i].Task, Run: f.Runs[i].Run, Attempt: f.Runs[i].Attempt, Executor: f.Runs[i].Executor, Timeout: f.Runs[i].Timeout.String()}
		if look {
			run.Request = f.Runs[i].Request
		}
		out.Runs = append(out.Runs, run)
	}
	for i := range f.Stops {
		out.Stops = append(out.Stops, f.Stops[i].Task)
	}
	for i := range f.Emits {
		event := ForecastEvent{Name: f.Emits[i].Name}
		if look {
			event.Payload = f.Emits[i].Payload
		}
		out.Emits = append(out.Emits, event)
	}
	for _, timer := range f.Armed {
		out.Timers = append(out.Timers, ForecastTimer{Kind: timer.Kind, Of: timer.Of, Due: Time(timer.Due)})
	}
	if f.Error != nil {
		out.Error = &ForecastFailure{Code: f.Error.Code, Message: f.Error.Message}
	}
	if look {
		out.Output = f.Output
	}
}

// dryQuery is the query of a dry run.
func dryQuery(force bool) url.Values {
	query := url.Values{dryRun: {"true"}}
	if force {
		query.Set("force", "true")
	}
	return query
}

// ForeseeSignal asks what a signal would do if it were sent now. Nothing is sent.
func (c *Client) ForeseeSignal(ctx context.Context, execID string, q SignalRequest) (Forecast, error) {
	return call[Forecast](ctx, c, "POST", executionURL(execID)+"/signals", dryQuery(q.Force), q.body())
}

// ForeseeStart asks what a start would do if it were sent now. Nothing is started.
func (c *Client) ForeseeStart(ctx context.Context, workflowID string, q StartRequest) (Forecast, error) {
	return call[Forecast](ctx, c, "POST", api+"/workflows/"+url.PathEscape(workflowID)+"/executions", dryQuery(false), q.body())
}
