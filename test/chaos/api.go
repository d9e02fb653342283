package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// api speaks to a node over HTTP, one attempt at a time: it never retries, so
// that every unknown outcome gets into the ledger.
type api struct {
	base string
	http *http.Client
}

// newHTTP returns a client that keeps a connection for each of the callers.
func newHTTP() *http.Client {
	return &http.Client{
		Timeout:   requestTimeout,
		Transport: &http.Transport{MaxIdleConnsPerHost: 4 * clients, DisableCompression: true},
	}
}

// unanswered is a request whose outcome nobody knows.
type unanswered struct{ cause error }

func (u *unanswered) Error() string { return "no answer: " + u.cause.Error() }

// refusal is an answer that is no success.
type refusal struct {
	status int
	code   string
	body   string
}

func (r *refusal) Error() string { return fmt.Sprintf("%d %s: %s", r.status, r.code, r.body) }

// turnedAway reports whether the node promised that nothing was kept, and that
// the same request may be carried out later.
func (r *refusal) turnedAway() bool {
	return r.status == http.StatusTooManyRequests || r.status == http.StatusServiceUnavailable && r.code != "timeout"
}

// call makes one request and decodes the data of a success into out.
func (a api) call(ctx context.Context, method, path string, body, out any) error {
	var reader io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		reader = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, a.base+path, reader)
	if err != nil {
		return err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
		// A connection that the last node left behind must not make the client
		// send again by itself: the ledger has to see every attempt.
		req.GetBody = nil
	}
	resp, err := a.http.Do(req)
	if err != nil {
		return &unanswered{err}
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, answerBytes))
	if err != nil {
		return &unanswered{err}
	}
	if resp.StatusCode/100 != 2 {
		return refused(resp.StatusCode, text)
	}
	envelope := struct {
		Data any `json:"data"`
	}{out}
	if err := json.Unmarshal(text, &envelope); err != nil {
		return fmt.Errorf("%s %s answered %d with a body that is no answer: %w: %.200s", method, path, resp.StatusCode, err, text)
	}
	return nil
}

func refused(status int, text []byte) error {
	problem := struct {
		Code string `json:"code"`
	}{}
	if err := json.Unmarshal(text, &problem); err != nil {
		problem.Code = "not a problem document"
	}
	r := &refusal{status: status, code: problem.Code, body: string(text)}
	if status == http.StatusServiceUnavailable && r.code == "timeout" {
		return &unanswered{r}
	}
	return r
}

// start begins an execution under an id of the caller.
func (a api) start(ctx context.Context, workflow, execID string, input any) error {
	return a.call(ctx, "POST", "/api/v0/workflows/"+url.PathEscape(workflow)+"/executions",
		map[string]any{"exec_id": execID, "input": input}, nil)
}

// signal sends a signal under an id of the caller.
func (a api) signal(ctx context.Context, execID, id, name string, payload any) (Answer, error) {
	var data struct {
		Outcome   string `json:"outcome"`
		Duplicate bool   `json:"duplicate"`
		SignalID  string `json:"signal_id"`
		Wait      struct {
			ID string `json:"id"`
		} `json:"wait"`
	}
	err := a.call(ctx, "POST", "/api/v0/executions/workflows/"+url.PathEscape(execID)+"/signals",
		map[string]any{"signal_name": name, "signal_id": id, "payload": payload}, &data)
	if err == nil && (data.SignalID != id || data.Outcome != "delivered" && data.Outcome != "buffered") {
		err = fmt.Errorf("signal %s was answered with %+v", id, data)
	}
	return Answer{Outcome: data.Outcome, Wait: data.Wait.ID, Duplicate: data.Duplicate}, err
}

// event sends an event under an id of the caller.
func (a api) event(ctx context.Context, id, name string, payload any) (Answer, error) {
	var data struct {
		EventID   string `json:"event_id"`
		Duplicate bool   `json:"duplicate"`
	}
	err := a.call(ctx, "POST", "/api/v0/events", map[string]any{"id": id, "name": name, "payload": payload}, &data)
	if err == nil && data.EventID != id {
		err = fmt.Errorf("event %s was answered with %+v", id, data)
	}
	return Answer{Duplicate: data.Duplicate}, err
}

// history returns the records of an execution after the one numbered after;
// known is false when the node says that it does not know the execution. It
// reads up to an empty page, so that no rule about full pages is taken on trust.
func (a api) history(ctx context.Context, execID string, after uint64) (records []Record, known bool, err error) {
	for {
		var data struct {
			Records []Record `json:"records"`
		}
		path := "/api/v0/executions/workflows/" + url.PathEscape(execID) + "/history?limit=" + strconv.Itoa(historyPage) + "&after=" + strconv.FormatUint(after, 10)
		if err := a.call(ctx, "GET", path, nil, &data); err != nil {
			var r *refusal
			if errors.As(err, &r) && r.status == http.StatusNotFound {
				return nil, false, nil
			}
			return nil, false, err
		}
		for _, r := range data.Records {
			if r.Type == "history.folded" {
				return nil, false, fmt.Errorf("the history of %s was folded: lower signalsPerExecution", execID)
			}
			if r.Seq <= after {
				return nil, false, fmt.Errorf("the history of %s has record %d after record %d", execID, r.Seq, after)
			}
			after = r.Seq
		}
		records = append(records, data.Records...)
		if len(data.Records) == 0 {
			return records, true, nil
		}
	}
}

// receipt looks a signal up by its id.
func (a api) receipt(ctx context.Context, id string) (Receipt, error) {
	var data struct {
		State   string `json:"state"`
		Outcome string `json:"outcome"`
	}
	err := a.call(ctx, "GET", "/api/v0/signals/"+url.PathEscape(id), nil, &data)
	var r *refusal
	if errors.As(err, &r) && r.status == http.StatusNotFound {
		return Receipt{}, nil
	}
	return Receipt{State: data.State, Outcome: data.Outcome}, err
}

// triggered calls found for every execution of a workflow, with the id of the
// event in its input and whether it has finished.
func (a api) triggered(ctx context.Context, workflow string, found func(event string, finished bool)) error {
	cursor := ""
	for {
		var data struct {
			Executions []struct {
				Status string `json:"status"`
				Input  struct {
					Event string `json:"event"`
				} `json:"input"`
			} `json:"executions"`
			Page struct {
				NextCursor string `json:"next_cursor"`
			} `json:"page"`
		}
		query := url.Values{"workflow_id": {workflow}, "limit": {"500"}}
		if cursor != "" {
			query.Set("cursor", cursor)
		}
		if err := a.call(ctx, "GET", "/api/v0/executions/workflows?"+query.Encode(), nil, &data); err != nil {
			return err
		}
		for _, e := range data.Executions {
			found(e.Input.Event, e.Status == "SUCCESS")
		}
		if data.Page.NextCursor == "" {
			return nil
		}
		cursor = data.Page.NextCursor
	}
}

// ready asks the node whether it is.
func (a api) ready(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, "GET", a.base+"/readyz", nil)
	if err != nil {
		return err
	}
	resp, err := a.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("/readyz answers %s after the node said that it listens", resp.Status)
	}
	return nil
}

// pause holds for d, or until ctx ends or changed is closed.
func pause(ctx context.Context, d time.Duration, changed <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-changed:
	case <-ctx.Done():
	}
}
