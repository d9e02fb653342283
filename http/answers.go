package http

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/signalbox/signalbox/definitions"
	"github.com/signalbox/signalbox/workflow"
)

// The shapes of answers, for the handlers that make them and the client that
// reads them. Field names are those that clients of the reference system know.

const timeLayout = "2006-01-02T15:04:05.000Z07:00"

// Time is a moment on the wire: RFC 3339, UTC, milliseconds. Zero is absent.
type Time workflow.Instant

// Time converts to a time.Time in UTC.
func (t Time) Time() time.Time { return workflow.Instant(t).Time() }

// String is RFC 3339 with milliseconds, or "" when it is absent.
func (t Time) String() string { return workflow.Instant(t).String() }

// MarshalJSON writes the quoted text.
func (t Time) MarshalJSON() ([]byte, error) {
	if t == 0 {
		return []byte("null"), nil
	}
	return appendInstant(make([]byte, 0, len(timeLayout)+2), workflow.Instant(t)), nil
}

// UnmarshalJSON reads any RFC 3339 time, or null.
func (t *Time) UnmarshalJSON(text []byte) error {
	var at *time.Time
	if err := json.Unmarshal(text, &at); err != nil {
		return fmt.Errorf("%s is not an RFC 3339 time: %w", text, err)
	}
	*t = 0
	if at != nil {
		*t = Time(workflow.InstantOf(*at))
	}
	return nil
}

// Execution is one running or finished workflow.
type Execution struct {
	WorkflowID     string                   `json:"workflow_id"`
	WorkflowExecID string                   `json:"workflow_exec_id"`
	Status         workflow.Status          `json:"status"`
	Input          workflow.Value           `json:"input"`
	Output         workflow.Value           `json:"output"`
	Error          *workflow.Failure        `json:"error"`
	Key            string                   `json:"key,omitempty"`    // business key
	Labels         map[string]string        `json:"labels,omitempty"` // given at the start or by the workflow
	Tasks          map[string]TaskExecution `json:"tasks"`

	CreatedAt  Time          `json:"created_at"`
	UpdatedAt  Time          `json:"updated_at"`
	FinishedAt Time          `json:"finished_at,omitzero"`
	Version    string        `json:"version,omitempty"` // of the definition, when it is one that the node has loaded now
	Definition string        `json:"definition"`        // content hash of the definition that it runs
	Trigger    *Origin       `json:"trigger,omitempty"`
	Waits      []WaitingTask `json:"waits"`
	Buffered   int           `json:"buffered"` // signals kept for a later wait
	Paused     bool          `json:"paused"`
}

// TaskExecution is one task of an execution; of several runs, the last.
type TaskExecution struct {
	Component      string            `json:"component"`
	Status         workflow.Status   `json:"status"`
	TaskID         string            `json:"task_id"`
	TaskExecID     string            `json:"task_exec_id"`
	WorkflowID     string            `json:"workflow_id"`
	WorkflowExecID string            `json:"workflow_exec_id"`
	ExecutionType  workflow.Kind     `json:"execution_type"`
	AgentID        string            `json:"agent_id,omitempty"`
	ActionID       string            `json:"action_id,omitempty"`
	ToolID         string            `json:"tool_id,omitempty"`
	Run            int               `json:"run"`
	Attempt        int               `json:"attempt,omitempty"`
	Input          workflow.Value    `json:"input,omitempty"`
	Output         workflow.Value    `json:"output,omitempty"`
	Error          *workflow.Failure `json:"error,omitempty"`
	CreatedAt      Time              `json:"created_at"`
	UpdatedAt      Time              `json:"updated_at"`
}

// Origin is the message that started an execution.
type Origin struct {
	Type          string         `json:"type"`
	Name          string         `json:"name,omitempty"`
	Payload       workflow.Value `json:"payload,omitempty"`
	EventID       string         `json:"event_id,omitempty"`
	CorrelationID string         `json:"correlation_id,omitempty"`
	SignalID      string         `json:"signal_id,omitempty"` // of the signal that came with the start
	TraceParent   string         `json:"traceparent,omitempty"`
}

// WaitingTask is an open wait of an execution.
type WaitingTask struct {
	ID         string `json:"id"`
	TaskID     string `json:"task_id"`
	SignalName string `json:"signal_name"`
	Condition  string `json:"condition,omitempty"`
	Key        string `json:"key,omitempty"`      // what a message must have at KeyPath to reach it
	KeyPath    string `json:"key_path,omitempty"` // JSON pointer into the signal
	Since      Time   `json:"since"`
	Until      Time   `json:"until,omitzero"`
	LastReason string `json:"last_reason,omitempty"` // why it refused the last signal
	Branch     string `json:"branch,omitempty"`      // of a wait for several things at once
	Progress   string `json:"progress,omitempty"`    // how far it has come, as in "1 of 3"
	WaitID     string `json:"wait_id"`               // its id among all executions, for PATCH /waits/{wait_id}
}

// MovedWait is the answer to a deadline that was moved: the waits that it concerns.
type MovedWait struct {
	Message string    `json:"message"`
	Waits   []WaitRow `json:"waits"`
}

// WaitRow is an open wait with the execution that it belongs to.
type WaitRow struct {
	WorkflowID     string `json:"workflow_id"`
	WorkflowExecID string `json:"workflow_exec_id"`
	WaitingTask
}

// SignalAnswer is what the sender of a signal gets back.
type SignalAnswer struct {
	Message   string           `json:"message"`
	SignalID  string           `json:"signal_id"`
	Outcome   workflow.Outcome `json:"outcome"`
	Duplicate bool             `json:"duplicate"`
	Reason    string           `json:"reason,omitempty"`
	Wait      *AnsweredWait    `json:"wait,omitempty"`
	ExpiresAt Time             `json:"expires_at,omitzero"`
	Status    workflow.Status  `json:"status"`
}

// AnsweredWait is the wait that a signal met.
type AnsweredWait struct {
	ID     string `json:"id"`
	TaskID string `json:"task_id"`
}

// EventAnswer is what the sender of an event gets back.
type EventAnswer struct {
	Message   string `json:"message"`
	EventID   string `json:"event_id"`
	Duplicate bool   `json:"duplicate"`
}

// Batch is what the sender of several messages gets back: one result for each.
type Batch[T any] struct {
	Results  []BatchResult[T] `json:"results"`
	Accepted int              `json:"accepted"`
	Refused  int              `json:"refused"`
}

// BatchResult is what one message of several would have been answered with
// alone: Data, or Problem when it was refused.
type BatchResult[T any] struct {
	Index   int      `json:"index"`
	Status  int      `json:"status"`
	Ended   bool     `json:"ended,omitempty"` // the stream broke off before this message
	Data    *T       `json:"data,omitempty"`
	Problem *Problem `json:"problem,omitempty"`
}

// StartAnswer is what the starter of an execution gets back.
type StartAnswer struct {
	ExecURL    string `json:"exec_url"`
	ExecID     string `json:"exec_id"`
	WorkflowID string `json:"workflow_id"`
	Key        string `json:"key,omitempty"` // business key
	Duplicate  bool   `json:"duplicate"`     // it had been started before, under the same id or with the same unique key
	Started    bool   `json:"started"`       // by this request, or by the one that this repeats

	Signal *SignalAnswer `json:"signal,omitempty"` // what became of the signal that came with the start
}

// SyncAnswer is what a synchronous start gets back: also, beside the error, when
// the execution did not finish in time.
type SyncAnswer struct {
	Workflow  Execution      `json:"workflow"`
	Output    workflow.Value `json:"output"`
	ExecID    string         `json:"exec_id"`
	Duplicate bool           `json:"duplicate"`
	Started   bool           `json:"started"`
	Signal    *SignalAnswer  `json:"signal,omitempty"`
}

// PageInfo says where the next page begins; NextCursor is "" on the last one.
type PageInfo struct {
	Limit      int    `json:"limit"`
	NextCursor string `json:"next_cursor,omitempty"`
}

// ExecutionList is one page of executions, newest first.
type ExecutionList struct {
	Executions []Execution `json:"executions"`
	Page       PageInfo    `json:"page"`
}

// WaitList is one page of open waits.
type WaitList struct {
	Waits []WaitRow `json:"waits"`
	Page  PageInfo  `json:"page"`
}

// Record is one line of an execution's history.
type Record struct {
	Seq    uint64         `json:"seq"`
	At     Time           `json:"at"`
	Type   string         `json:"type"`
	Task   string         `json:"task,omitempty"`
	Wait   string         `json:"wait,omitempty"`
	Signal string         `json:"signal,omitempty"`
	Reason string         `json:"reason,omitempty"`
	Data   workflow.Value `json:"data,omitempty"`
}

// History is one page of records. NextAfter is the number to ask for the next
// page with; it is 0 on the last one.
type History struct {
	Records   []Record `json:"records"`
	NextAfter uint64   `json:"next_after,omitempty"`
}

// ReceiptStep is one thing that happened to a signal or event.
type ReceiptStep struct {
	At     Time   `json:"at"`
	What   string `json:"what"`
	Wait   string `json:"wait,omitempty"`
	Record uint64 `json:"record,omitempty"`
	Reason string `json:"reason,omitempty"`
	By     string `json:"by,omitempty"`   // of a redelivery: the key that asked for it
	From   string `json:"from,omitempty"` // and from where, for those who may know
	Link   string `json:"link,omitempty"` // to the record
}

// Caused is one thing that a message caused: a task, wait, event or execution
// that began, or the end of its execution.
type Caused struct {
	Kind   string `json:"kind"`
	ID     string `json:"id"`
	Name   string `json:"name,omitempty"` // of an event; of an execution, its workflow
	ExecID string `json:"exec_id"`
	Record uint64 `json:"record,omitempty"`
	At     Time   `json:"at,omitzero"`
	Link   string `json:"link"`
}

// SignalReceipt is what can be looked up about a signal.
type SignalReceipt struct {
	SignalID   string           `json:"signal_id"`
	ExecID     string           `json:"exec_id"`
	SignalName string           `json:"signal_name"`
	State      workflow.Fate    `json:"state"`
	Outcome    workflow.Outcome `json:"outcome"` // the first answer's
	Wait       *AnsweredWait    `json:"wait,omitempty"`
	Reason     string           `json:"reason,omitempty"`
	ExpiresAt  Time             `json:"expires_at,omitzero"`
	Source     string           `json:"source,omitempty"`
	By         string           `json:"by,omitempty"`
	From       string           `json:"from,omitempty"`       // the client's address; see mayKnow
	RequestID  string           `json:"request_id,omitempty"` // likewise
	Digest     string           `json:"digest"`
	ReceivedAt Time             `json:"received_at"`
	Steps      []ReceiptStep    `json:"steps"`
	Caused     []Caused         `json:"caused,omitempty"`
	Link       string           `json:"link"` // to the execution
}

// SignalReceipts is the receipt of a signal and, when its id was used for
// several executions, the receipts there.
type SignalReceipts struct {
	SignalReceipt
	Others []SignalReceipt `json:"others,omitempty"`
}

// EventReceipt is what can be looked up about an event.
type EventReceipt struct {
	EventID       string         `json:"event_id"`
	Name          string         `json:"name"`
	State         workflow.Fate  `json:"state"`
	Reason        string         `json:"reason,omitempty"`
	CorrelationID string         `json:"correlation_id,omitempty"`
	Source        string         `json:"source,omitempty"`
	By            string         `json:"by,omitempty"`
	From          string         `json:"from,omitempty"`       // the client's address; see mayKnow
	RequestID     string         `json:"request_id,omitempty"` // likewise
	ReceivedAt    Time           `json:"received_at"`
	CloudEvent    *CloudEvent    `json:"cloudevent,omitempty"`
	TraceParent   string         `json:"traceparent,omitempty"`
	ExpiresAt     Time           `json:"expires_at,omitzero"` // when nobody takes it, it is kept until then
	Payload       workflow.Value `json:"payload,omitempty"`   // only for keys that may read executions
	Steps         []ReceiptStep  `json:"steps"`
	Deliveries    []Delivery     `json:"deliveries"`
	Counts        Counts         `json:"counts"` // of all deliveries, also of those that are not listed
}

// Counts says how many listeners did what with an event.
type Counts struct {
	Started   int `json:"started"`
	Delivered int `json:"delivered"`
	Ignored   int `json:"ignored"`
	Refused   int `json:"refused"`
	Failed    int `json:"failed"`
	Passed    int `json:"passed"`   // executions none of whose waits took it
	Buffered  int `json:"buffered"` // waits that have yet to decide
}

// CloudEvent is what an event that came as one says beside its type, the name,
// and its source.
type CloudEvent workflow.CloudEvent

// Delivery is what one listener did with an event: a trigger, or a wait.
type Delivery struct {
	Kind       string `json:"kind"`
	WorkflowID string `json:"workflow_id,omitempty"`
	ExecID     string `json:"exec_id,omitempty"`
	WaitID     string `json:"wait_id,omitempty"`
	Outcome    string `json:"outcome"`
	Reason     string `json:"reason,omitempty"`
	At         Time   `json:"at,omitzero"`
	Link       string `json:"link,omitempty"` // to the execution

	Steps  []ReceiptStep `json:"steps,omitempty"`  // of a wait: what happened there
	Caused []Caused      `json:"caused,omitempty"` // of a wait that took it
}

// Workflow is a loaded definition.
type Workflow struct {
	ID          string          `json:"id"`
	Version     string          `json:"version,omitempty"`
	Description string          `json:"description,omitempty"`
	Definition  string          `json:"definition"` // content hash
	File        string          `json:"file,omitempty"`
	Triggers    []string        `json:"triggers"`         // names of events that start it
	Awaits      []string        `json:"awaits"`           // names of signals that it can wait for
	AwaitsAny   bool            `json:"awaits_any"`       // some of those names are made at run time
	Tasks       []WorkflowTask  `json:"tasks"`            // in the order listed
	Source      json.RawMessage `json:"source,omitempty"` // canonical form of the definition; only of a single one
}

// WorkflowTask is one task of a definition.
type WorkflowTask struct {
	ID    string        `json:"id"`
	Type  workflow.Kind `json:"type"`
	After []string      `json:"after,omitempty"`
}

// Readiness is what /readyz says.
type Readiness struct {
	Status     string              `json:"status"`
	Version    string              `json:"version"`
	Ready      bool                `json:"ready"`
	Durability workflow.Durability `json:"durability"`
	Problems   []string            `json:"problems,omitempty"`
	Actors     map[string]int      `json:"actors,omitempty"`
}

// Card is what a node says of itself to a visitor.
type Card struct {
	Name       string              `json:"name"`
	Version    string              `json:"version"`
	Status     string              `json:"status"`
	Durability workflow.Durability `json:"durability"`
	Links      map[string]string   `json:"links"`
}

// versions tells the version text of the definitions that are loaded now.
type versions map[string]string

func versionsOf(workflows []*definitions.Workflow) versions {
	v := make(versions, len(workflows))
	for _, w := range workflows {
		v[w.Hash] = w.Version
	}
	return v
}

func executionOf(s *workflow.State, v versions) Execution {
	e := Execution{
		WorkflowID: s.WorkflowID, WorkflowExecID: s.ExecID, Status: s.Status,
		Input: s.Input, Output: s.Result(), Error: s.Error, Key: s.Key, Labels: labelsOf(s.Labels),
		Tasks:     make(map[string]TaskExecution, len(s.Tasks)),
		CreatedAt: Time(s.CreatedAt), UpdatedAt: Time(s.UpdatedAt), FinishedAt: Time(s.FinishedAt),
		Version: v[s.Definition], Definition: s.Definition, Trigger: (*Origin)(s.Trigger),
		Waits: make([]WaitingTask, 0, len(s.Waits)), Buffered: len(s.Buffer), Paused: s.Paused,
	}
	for i := range s.Tasks {
		t := &s.Tasks[i]
		e.Tasks[t.ID] = taskExecutionOf(s, t)
	}
	for i := range s.Waits {
		e.Waits = append(e.Waits, waitingTaskOf(s.ExecID, &s.Waits[i]))
	}
	return e
}

func labelsOf(labels []workflow.Label) map[string]string {
	if len(labels) == 0 {
		return nil
	}
	named := make(map[string]string, len(labels))
	for _, l := range labels {
		named[l.Name] = l.Value
	}
	return named
}

// signalAnswerOf is the answer to a signal that is part of another answer.
func signalAnswerOf(a *workflow.Answer) *SignalAnswer {
	if a == nil {
		return nil
	}
	out := &SignalAnswer{
		Message: "Signal sent successfully", SignalID: a.SignalID, Outcome: a.Outcome, Duplicate: a.Duplicate,
		Reason: a.Reason, ExpiresAt: Time(a.ExpiresAt), Status: a.Status,
	}
	if a.WaitID != "" {
		out.Wait = &AnsweredWait{ID: a.WaitID, TaskID: a.WaitTask}
	}
	return out
}

func taskExecutionOf(s *workflow.State, t *workflow.TaskState) TaskExecution {
	component := t.Component
	if component == "" {
		component = "task"
	}
	return TaskExecution{
		Component: component, Status: t.Status, TaskID: t.ID,
		TaskExecID: s.ExecID + "/" + t.ID + "/" + strconv.Itoa(t.Run),
		WorkflowID: s.WorkflowID, WorkflowExecID: s.ExecID, ExecutionType: t.Kind,
		AgentID: t.AgentID, ActionID: t.ActionID, ToolID: t.ToolID, Run: t.Run, Attempt: t.Attempt,
		Input: t.Input, Output: t.Output, Error: t.Error,
		CreatedAt: Time(t.CreatedAt), UpdatedAt: Time(t.UpdatedAt),
	}
}

func waitingTaskOf(execID string, w *workflow.OpenWait) WaitingTask {
	return WaitingTask{
		ID: w.ID, TaskID: w.Task, SignalName: w.Name, Condition: w.Condition, Key: w.Key, KeyPath: w.Path,
		Since: Time(w.OpenedAt), Until: Time(w.Deadline), LastReason: w.LastReason,
		Branch: w.Branch, Progress: w.Progress(), WaitID: waitAddress(execID, w.ID),
	}
}

func recordOf(r *workflow.Record) Record {
	return Record{
		Seq: r.Seq, At: Time(r.At), Type: r.Type, Task: r.Task, Wait: r.Wait,
		Signal: r.Signal, Reason: r.Reason, Data: r.Data,
	}
}

func stepsOf(execID string, steps []workflow.Step, whole bool) []ReceiptStep {
	out := make([]ReceiptStep, 0, len(steps))
	for _, s := range steps {
		step := ReceiptStep{At: Time(s.At), What: s.What, Wait: s.Wait, Record: s.Record, Reason: s.Reason, By: s.By, Link: recordLink(execID, s.Record)}
		if whole {
			step.From = s.From
		}
		out = append(out, step)
	}
	return out
}

func signalReceiptOf(r *workflow.Receipt, whole bool) SignalReceipt {
	out := SignalReceipt{
		SignalID: r.SignalID, ExecID: r.ExecID, SignalName: r.Name, State: r.Fate,
		Outcome: r.Answer.Outcome, Reason: r.Answer.Reason, ExpiresAt: Time(r.Answer.ExpiresAt),
		Source: r.Source, By: r.By, Digest: r.Digest, ReceivedAt: Time(r.At), Steps: stepsOf(r.ExecID, r.Steps, whole),
		Link: executionURL(r.ExecID),
	}
	if whole {
		out.From, out.RequestID = r.From, r.RequestID
	}
	if r.Answer.WaitID != "" {
		out.Wait = &AnsweredWait{ID: r.Answer.WaitID, TaskID: r.Answer.WaitTask}
	}
	return out
}

func eventReceiptOf(r *workflow.EventReceipt, whole bool) EventReceipt {
	out := EventReceipt{
		EventID: r.Event.ID, Name: r.Event.Name, State: r.Fate, Reason: r.Reason,
		CorrelationID: r.Event.CorrelationID, Source: r.Event.Source, By: r.Event.By,
		ReceivedAt: Time(r.Event.ReceivedAt), ExpiresAt: Time(r.Event.ExpiresAt), Steps: stepsOf("", r.Steps, whole), Counts: Counts(r.Counts),
		CloudEvent: (*CloudEvent)(r.Event.CloudEvent), TraceParent: r.Event.TraceParent,
		Deliveries: make([]Delivery, 0, len(r.Deliveries)),
	}
	if whole {
		out.Payload, out.From, out.RequestID = r.Event.Payload, r.Event.From, r.Event.RequestID
	}
	for _, d := range r.Deliveries {
		out.Deliveries = append(out.Deliveries, deliveryOf(d))
	}
	return out
}

func workflowOf(w *definitions.Workflow, withSource bool) Workflow {
	out := Workflow{
		ID: w.ID, Version: w.Version, Description: w.Description, Definition: w.Hash, File: w.File,
		Triggers: make([]string, 0, len(w.Triggers)), Awaits: append([]string{}, w.Awaits...), AwaitsAny: w.AwaitsAny,
		Tasks: make([]WorkflowTask, 0, len(w.Tasks)),
	}
	for _, t := range w.Triggers {
		out.Triggers = append(out.Triggers, t.Name)
	}
	for _, t := range w.Tasks {
		out.Tasks = append(out.Tasks, WorkflowTask{ID: t.ID, Type: t.Kind, After: t.After})
	}
	if withSource {
		out.Source = w.Bundle
	}
	return out
}

func deliveryOf(d workflow.Delivery) Delivery {
	link := ""
	if d.ExecID != "" {
		link = executionURL(d.ExecID)
	}
	return Delivery{
		Kind: d.Kind, WorkflowID: d.WorkflowID, ExecID: d.ExecID, WaitID: d.WaitID,
		Outcome: d.Outcome, Reason: d.Reason, At: Time(d.At), Link: link,
	}
}
