package http

import (
	"encoding/json"
	"errors"

	"github.com/signalbox/signalbox/workflow"
)

// What a signal caused is not kept: it follows from the history. The records
// behind the one that consumed it, up to the next input, are of the same
// transition; and what a task that it started led to is of it too.

// causes reads a history from one consumption of a signal on.
type causes struct {
	execID string
	signal string
	mine   bool            // the records read now belong to what the signal caused
	open   map[string]bool // tasks that it started and that have not ended
	found  []Caused
}

// causedBy derives what a signal caused where that wait consumed it, "" for all of
// them: an event may have been consumed by several.
func (x *exchange) causedBy(r *workflow.Receipt, wait string) ([]Caused, error) {
	var all []Caused
	traced := 0
	for _, step := range r.Steps {
		if step.What != "consumed" || wait != "" && wait != step.Wait {
			continue
		}
		if traced++; traced > maxTraced || len(all) >= maxCaused {
			break
		}
		found, err := x.causedFrom(r, step.Record)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return x.withStarted(all[:min(len(all), maxCaused)])
}

// causedFrom derives what the consumption caused that is told by that record.
func (x *exchange) causedFrom(r *workflow.Receipt, from uint64) ([]Caused, error) {
	c := &causes{execID: r.ExecID, signal: r.SignalID, mine: true, open: make(map[string]bool)}
	for read := 0; read < maxCauseRecords; {
		records, err := x.server.node.History(x.soon(), r.ExecID, from, causePage)
		if unknown(err, workflow.CodeNoExecution) {
			return nil, nil // the receipt outlived it
		}
		if err != nil {
			return nil, err
		}
		for i := range records {
			if !c.follow(&records[i]) {
				return c.found, nil
			}
			from = records[i].Seq
		}
		if len(records) < causePage {
			break
		}
		read += len(records)
	}
	return c.found, nil
}

// follow takes the next record; false when nothing more can belong to it.
func (c *causes) follow(r *workflow.Record) bool {
	if r.IsInput() {
		if !c.mine && len(c.open) == 0 {
			return false
		}
		c.mine = c.led(r)
		return c.mine || len(c.open) > 0
	}
	if r.Type == workflow.SignalConsumed && r.Signal == c.signal {
		c.mine = false // what follows is of the next wait that took the same event
		return len(c.open) > 0
	}
	if !c.mine {
		return true
	}
	row := Caused{ExecID: c.execID, Record: r.Seq, At: Time(r.At), Link: recordLink(c.execID, r.Seq)}
	switch r.Type {
	case workflow.TaskStarted:
		if r.Wait != "" {
			return true // a processor, which works for a wait on what that is to judge
		}
		c.open[r.Task] = true
		row.Kind, row.ID = "task", r.Task
	case workflow.TaskRetrying, workflow.TaskSleeping:
		c.open[r.Task] = true
		return true
	case workflow.WaitOpened:
		row.Kind, row.ID = "wait", r.Wait
	case workflow.EventEmitted:
		var event struct {
			ID   string `json:"id"`
			Name string `json:"name"`
		}
		if json.Unmarshal(r.Data, &event) != nil {
			return true // a record of a damaged history says nothing here
		}
		row.Kind, row.ID, row.Name, row.Link = "event", event.ID, event.Name, eventURL(event.ID)
	case workflow.ExecutionFinished:
		row.Kind, row.ID, row.Link = "end", c.execID, executionURL(c.execID)
	default:
		return true
	}
	c.found = append(c.found, row)
	return len(c.found) < maxCaused && r.Type != workflow.ExecutionFinished
}

// led reports whether an input is the end of a task, or the hold before its next
// attempt, that the signal had started.
func (c *causes) led(r *workflow.Record) bool {
	task := r.Task
	if r.Type == (workflow.TimerFired{}).Kind() {
		input, err := r.Input()
		if err != nil {
			return false
		}
		fired, _ := input.(workflow.TimerFired)
		task = workflow.TimerTask(fired.Timer)
	}
	if task == "" || !c.open[task] {
		return false
	}
	delete(c.open, task)
	return true
}

// withStarted adds behind each event the executions that it started.
func (x *exchange) withStarted(found []Caused) ([]Caused, error) {
	all := make([]Caused, 0, len(found))
	for _, row := range found {
		all = append(all, row)
		if row.Kind != "event" || len(all) >= maxCaused {
			continue
		}
		receipt, err := x.server.node.EventReceipt(x.soon(), row.ID)
		if err != nil {
			return nil, err
		}
		if receipt == nil {
			continue // swept
		}
		for _, d := range receipt.Deliveries {
			if d.Outcome == "started" && len(all) < maxCaused {
				all = append(all, Caused{Kind: "execution", ID: d.ExecID, Name: d.WorkflowID, ExecID: d.ExecID, At: Time(d.At), Link: executionURL(d.ExecID)})
			}
		}
	}
	return all, nil
}

// unknown reports whether an error says that there is no such thing.
func unknown(err error, code string) bool {
	var refusal *workflow.Refusal
	return errors.As(err, &refusal) && refusal.Code == code
}
