package http

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/signalbox/signalbox/workflow"
)

func executionURL(execID string) string {
	return api + "/executions/workflows/" + url.PathEscape(execID)
}

// awaitEnd returns the state at the execution's end, or the last one that was
// seen and a refusal that says why the waiting ended before.
func (x *exchange) awaitEnd(state *workflow.State, changed <-chan struct{}, most time.Duration) (*workflow.State, *workflow.Refusal, error) {
	timer := time.NewTimer(most)
	defer timer.Stop()
	for !state.Status.Finished() {
		select {
		case <-changed:
		case <-timer.C:
			return state, &workflow.Refusal{
				Code: CodeStillRunning, Message: "execution timeout",
				Hint: "the execution did not finish within " + most.String() + " and goes on: get it, stream it, or ask again under the same exec_id",
			}, nil
		case <-x.server.stopping:
			return state, refuse(workflow.CodeStopping, "the node is stopping; the execution goes on when it is back",
				"get the execution later, or ask again under the same exec_id"), nil
		case <-x.r.Context().Done():
			return nil, nil, x.r.Context().Err()
		}
		younger, err := x.server.node.Execution(x.server.patience.context(time.Now()), state.ExecID)
		if err != nil {
			return nil, nil, err
		}
		state = younger
	}
	return state, nil, nil
}

// unfinished is a problem that also carries the execution, as clients of the
// reference system expect it.
func (x *exchange) unfinished(early *workflow.Refusal, answer SyncAnswer) error {
	data, err := json.Marshal(answer)
	if err != nil {
		return fmt.Errorf("encode the execution: %w", err)
	}
	p, _ := problemOf(early)
	p.Data = data
	x.writeProblem(p)
	return nil
}

func (x *exchange) getExecution() error {
	id, err := x.pathID("exec_id")
	if err != nil {
		return err
	}
	state, err := x.server.node.Execution(x.context(), id)
	if err != nil {
		return err
	}
	return x.answer(http.StatusOK, "workflow execution retrieved", executionOf(state, versionsOf(x.server.node.Workflows())))
}

func (x *exchange) listExecutions() error {
	q, err := x.executionQuery()
	if err != nil {
		return err
	}
	page, err := x.server.node.Executions(x.context(), q)
	// Half the page is asked for again rather than cut: only the node can make
	// the cursor of a place in between.
	for err == nil && q.Limit > 1 && weight(page.Items) > MaxListBytes {
		q.Limit /= 2
		page, err = x.server.node.Executions(x.context(), q)
	}
	if err != nil {
		return err
	}
	known := versionsOf(x.server.node.Workflows())
	list := ExecutionList{
		Executions: make([]Execution, 0, len(page.Items)),
		Page:       PageInfo{Limit: q.Limit, NextCursor: page.Next},
	}
	for _, state := range page.Items {
		list.Executions = append(list.Executions, executionOf(state, known))
	}
	return x.answer(http.StatusOK, "workflow executions retrieved", list)
}

// weight is about how many bytes of inputs and outputs executions have.
func weight(states []*workflow.State) int {
	bytes := 0
	for _, s := range states {
		bytes += len(s.Input) + len(s.Output)
		for i := range s.Tasks {
			bytes += len(s.Tasks[i].Input) + len(s.Tasks[i].Output)
		}
	}
	return bytes
}

func (x *exchange) executionQuery() (q workflow.Query, err error) {
	q.WorkflowID = x.params.ByName("workflow_id")
	if q.WorkflowID == "" {
		q.WorkflowID = x.query("workflow_id")
	}
	q.WaitingFor, q.Cursor, q.Key = x.query("waiting_for"), x.query("cursor"), x.query("key")
	if q.Key != "" && q.WorkflowID == "" {
		return q, refuse(workflow.CodeInvalid, "key is given without workflow_id", "name the workflow, too: each has keys of its own")
	}
	if q.Labels, err = labelQuery(x.query("labels")); err != nil {
		return q, err
	}
	if q.Limit, err = x.limit(DefaultListLimit, MaxListLimit); err != nil {
		return q, err
	}
	if status := x.query("status"); status != "" {
		q.Status = workflow.Status(strings.ToUpper(status))
		if !slices.Contains(workflow.Statuses, q.Status) {
			return q, refuse(workflow.CodeInvalid, fmt.Sprintf("there is no status %q", truncate(status)), fmt.Sprintf("the statuses are %v", workflow.Statuses))
		}
	}
	if since := x.query("since"); since != "" {
		at, err := time.Parse(time.RFC3339, since)
		if err != nil {
			return q, refuse(workflow.CodeInvalid, fmt.Sprintf("since is %q, which is not a time", truncate(since)), "write it like 2026-01-31T09:30:00Z")
		}
		q.Since = workflow.InstantOf(at)
	}
	return q, nil
}

// labelQuery reads labels in one line, name=value with commas between.
func labelQuery(text string) ([]workflow.Label, error) {
	if text == "" {
		return nil, nil
	}
	named := make(map[string]string)
	for part := range strings.SplitSeq(text, ",") {
		name, value, found := strings.Cut(part, "=")
		if _, twice := named[name]; !found || twice {
			return nil, refuse(workflow.CodeInvalid, fmt.Sprintf("labels has %q", truncate(part)), "write it like region=eu,tier=gold, each name once")
		}
		named[name] = value
	}
	labels, refusal := workflow.Labels(named)
	if refusal != nil {
		return nil, refusal
	}
	return labels, nil
}

// limit is the parameter of that name, or otherwise when it is absent.
func (x *exchange) limit(otherwise, most int) (int, error) {
	text := x.query("limit")
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, refuse(workflow.CodeInvalid, fmt.Sprintf("limit is %q", truncate(text)), fmt.Sprintf("it is a number from 1 to %d", most))
	}
	return n, nil
}

func (x *exchange) cancel() error {
	reason, err := decodeReason(x.in.b)
	if err != nil {
		return err
	}
	return x.steer("workflow execution canceled", workflow.CancelAsked{Stamp: workflow.Stamp{At: x.now()}, By: x.by(), Reason: reason})
}

func (x *exchange) pause() error {
	if err := x.noMembers(); err != nil {
		return err
	}
	return x.steer("workflow execution paused", workflow.PauseAsked{Stamp: workflow.Stamp{At: x.now()}, By: x.by()})
}

func (x *exchange) resume() error {
	if err := x.noMembers(); err != nil {
		return err
	}
	return x.steer("workflow execution resumed", workflow.ResumeAsked{Stamp: workflow.Stamp{At: x.now()}, By: x.by()})
}

// noMembers takes an empty body or an empty object.
func (x *exchange) noMembers() error {
	if len(x.in.b) == 0 {
		return nil
	}
	m, err := open(x.in.b)
	if err != nil || !m.next() {
		return err
	}
	return refuse(workflow.CodeInvalid, fmt.Sprintf("the body has an unknown field %q", truncate(string(m.name))), "this request has no body")
}

func (x *exchange) steer(message string, what workflow.Input) error {
	id, err := x.pathID("exec_id")
	if err != nil {
		return err
	}
	state, err := x.server.node.Steer(x.context(), id, what)
	if err != nil {
		return err
	}
	return x.answer(http.StatusOK, message, executionOf(state, versionsOf(x.server.node.Workflows())))
}

func (x *exchange) history() error {
	id, err := x.pathID("exec_id")
	if err != nil {
		return err
	}
	limit, err := x.limit(DefaultHistoryLimit, MaxHistoryLimit)
	if err != nil {
		return err
	}
	after, err := x.number("after", x.query("after"))
	if err != nil {
		return err
	}
	records, err := x.server.node.History(x.context(), id, after, limit)
	if err != nil {
		return err
	}
	page, bytes := History{Records: make([]Record, 0, len(records))}, 0
	for i := range records {
		bytes += len(records[i].Data)
		if i > 0 && bytes > MaxListBytes {
			limit = i
			break
		}
		page.Records = append(page.Records, recordOf(&records[i]))
	}
	if len(page.Records) == limit {
		page.NextAfter = records[limit-1].Seq
	}
	return x.answer(http.StatusOK, "workflow execution history", page)
}

// number reads a record's number; "" is 0.
func (x *exchange) number(name, text string) (uint64, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return 0, refuse(workflow.CodeInvalid, fmt.Sprintf("%s is %q", name, truncate(text)), "it is the number of a record")
	}
	return n, nil
}

func (x *exchange) listWaits() error {
	limit, err := x.limit(DefaultListLimit, MaxListLimit)
	if err != nil {
		return err
	}
	page, err := x.server.node.Waits(x.context(), workflow.WaitQuery{
		Name: x.query("name"), WorkflowID: x.query("workflow_id"), Key: workflow.KeyText(x.query("correlation")), Limit: limit, Cursor: x.query("cursor"),
	})
	if err != nil {
		return err
	}
	list := WaitList{Waits: make([]WaitRow, 0, len(page.Items)), Page: PageInfo{Limit: limit, NextCursor: page.Next}}
	for i := range page.Items {
		row := &page.Items[i]
		list.Waits = append(list.Waits, WaitRow{
			WorkflowID: row.WorkflowID, WorkflowExecID: row.ExecID, WaitingTask: waitingTaskOf(row.ExecID, &row.OpenWait),
		})
	}
	return x.answer(http.StatusOK, "open waits", list)
}
