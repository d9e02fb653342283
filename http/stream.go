package http

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/signalbox/signalbox/workflow"
)

// The last event of a stream says how the execution ended.
const (
	streamComplete = "complete"
	streamError    = "error"
)

// recordTypes lists every type that a record, and so an event of a stream, can have.
var recordTypes = []string{
	workflow.Started{}.Kind(), workflow.Signalled{}.Kind(), workflow.TimerFired{}.Kind(), workflow.TaskDone{}.Kind(),
	workflow.TaskFailed{}.Kind(), workflow.PauseAsked{}.Kind(), workflow.ResumeAsked{}.Kind(), workflow.CancelAsked{}.Kind(), workflow.DeadlineMoved{}.Kind(),
	workflow.TaskStarted, workflow.TaskSkipped, workflow.TaskRetrying, workflow.TaskSleeping, workflow.TaskEnded,
	workflow.WaitOpened, workflow.WaitSatisfied, workflow.WaitTimedOut, workflow.WaitVetoed, workflow.WaitExtended, workflow.WaitReminded, workflow.WaitClosed,
	workflow.SignalBuffered, workflow.SignalJudged, workflow.SignalConsumed, workflow.SignalExpired, workflow.SignalDead,
	workflow.EventEmitted, workflow.ExecutionFinished, workflow.HistoryFolded,
}

// streaming is one open event stream.
type streaming struct {
	x       *exchange
	control *http.ResponseController
	execID  string
	after   uint64   // number of the last record that was sent
	only    []string // types to send; empty: all
	frame   []byte   // reused
}

// stream sends one event per record until the execution ends, the client
// leaves, the key that opened it does not open it any more, or the node stops.
func (x *exchange) stream() error {
	st, err := x.openStream()
	if err != nil {
		return err
	}
	// The watch begins before the first look, so that no commit is missed.
	changed, stop := x.server.node.Watch(st.execID)
	defer stop()
	state, err := x.server.node.Execution(x.context(), st.execID)
	if err != nil {
		return err
	}
	if state.Status.Finished() && st.after > state.Seq {
		// The client has seen the last event: this stops its reconnecting.
		x.status = http.StatusNoContent
		x.w.WriteHeader(x.status)
		return nil
	}
	// No record has a later number, so nobody has seen one: all that is there counts as seen.
	st.after = min(st.after, state.Seq)
	if err := st.begin(); err != nil {
		return err
	}
	if err := st.run(state, changed); err != nil {
		// The answer has begun, so its end is all that can be said.
		x.server.logger.Debug("an event stream was cut", "request_id", x.id, "error", err)
	}
	return nil
}

func (x *exchange) openStream() (*streaming, error) {
	id, err := x.pathID("exec_id")
	if err != nil {
		return nil, err
	}
	st := &streaming{x: x, control: http.NewResponseController(x.w), execID: id}
	last := x.r.Header.Get("Last-Event-ID")
	if last == "" {
		last = x.query("last_event_id")
	}
	if st.after, err = x.number("Last-Event-ID", last); err != nil {
		return nil, err
	}
	if names := x.query("events"); names != "" {
		st.only = strings.Split(names, ",")
	}
	for _, name := range st.only {
		if !slices.Contains(recordTypes, name) && name != streamComplete && name != streamError {
			return nil, unknownEventType(name)
		}
	}
	return st, nil
}

func unknownEventType(name string) error {
	hint := "the types are " + strings.Join(recordTypes, ", ")
	if near := workflow.Nearest(name, recordTypes); near != "" {
		hint = fmt.Sprintf("did you mean %q? %s", near, hint)
	}
	return refuse(workflow.CodeInvalid, fmt.Sprintf("unknown event type %q", truncate(name)), hint)
}

// begin sends the head of the answer at once, so that the client knows.
func (st *streaming) begin() error {
	h := st.x.w.Header()
	h["Content-Type"] = []string{"text/event-stream"}
	h["Cache-Control"] = []string{"no-cache"}
	h["X-Accel-Buffering"] = []string{"no"}
	st.x.reached(answered)
	st.x.status = http.StatusOK
	st.x.w.WriteHeader(http.StatusOK)
	return st.write(append(strconv.AppendInt([]byte("retry: "), streamRetry.Milliseconds(), 10), "\n\n"...))
}

// run sends what is there, then waits for more.
func (st *streaming) run(state *workflow.State, changed <-chan struct{}) error {
	heartbeat := time.NewTicker(HeartbeatInterval)
	defer heartbeat.Stop()
	for woken := false; ; woken = true {
		before := st.after
		finished, err := st.catchUp()
		if err != nil {
			return err
		}
		if woken && st.after == before {
			// No record says what happened, so the state that was read is of before.
			if state, err = st.now(); err != nil {
				return err
			}
		}
		if finished || state.Status.Finished() && st.after >= state.Seq {
			return st.end()
		}
		more, err := st.hold(changed, heartbeat.C)
		if err != nil || !more {
			return err
		}
	}
}

// now reads the execution again.
func (st *streaming) now() (*workflow.State, error) {
	return st.x.server.node.Execution(st.x.soon(), st.execID)
}

// catchUp sends all records that are there and reports whether the execution's
// end is among them; signals that died with it may follow that record.
func (st *streaming) catchUp() (finished bool, err error) {
	for {
		records, err := st.x.server.node.History(st.x.soon(), st.execID, st.after, streamPage)
		if err != nil {
			return false, err
		}
		if len(records) > 0 {
			if err := st.permitted(); err != nil {
				return false, err
			}
		}
		for i := range records {
			if err := st.record(&records[i]); err != nil {
				return false, err
			}
			finished = finished || records[i].Type == workflow.ExecutionFinished
		}
		if len(records) < streamPage {
			return finished, nil
		}
	}
}

// hold waits until there may be more records; heartbeats go on meanwhile. It
// is false when the stream has ended for another reason.
func (st *streaming) hold(changed <-chan struct{}, heartbeat <-chan time.Time) (more bool, err error) {
	for {
		select {
		case <-changed:
			return true, nil
		case <-heartbeat:
			if err := st.permitted(); err != nil {
				return false, err
			}
			if err := st.write([]byte(": ping\n\n")); err != nil {
				return false, err
			}
		case <-st.x.server.stopping:
			return false, st.write([]byte(": the node is stopping; reconnect with Last-Event-ID\n\n"))
		case <-st.x.r.Context().Done():
			return false, nil
		}
	}
}

// permitted ends the stream of a key that was revoked or has expired. The execution
// goes on, so the last word is a comment and no event.
func (st *streaming) permitted() error {
	err := st.x.stillOpen()
	if err == nil {
		return nil
	}
	why := "the API keys cannot be read; reconnect with Last-Event-ID"
	var refusal *workflow.Refusal
	if errors.As(err, &refusal) {
		why = refusal.Message + "; reconnect with another key and Last-Event-ID"
	}
	return errors.Join(err, st.write([]byte(": "+why+"\n\n")))
}

func (st *streaming) record(r *workflow.Record) error {
	st.after = r.Seq
	if len(st.only) > 0 && !slices.Contains(st.only, r.Type) {
		return nil
	}
	return st.event(r.Seq, r.Type, recordOf(r))
}

// end sends the last event. Its number is one more than that of the last
// record, so that a client that reconnects after it gets 204.
func (st *streaming) end() error {
	state, err := st.now()
	if err != nil {
		return err
	}
	if err := st.permitted(); err != nil {
		return err
	}
	name := streamComplete
	last := map[string]any{"status": state.Status}
	if state.Error != nil {
		last["error"] = state.Error
	}
	if state.Status == workflow.Success {
		last["output"] = state.Result()
	} else {
		name = streamError
	}
	return st.event(max(st.after, state.Seq)+1, name, last)
}

// event writes one frame.
func (st *streaming) event(id uint64, name string, data any) error {
	b := append(st.frame[:0], "id: "...)
	b = strconv.AppendUint(b, id, 10)
	b = append(b, "\nevent: "...)
	b = append(b, name...)
	b = append(b, "\ndata: "...)
	body := buffer{b: b}
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(data); err != nil {
		return fmt.Errorf("encode event %d of the stream: %w", id, err)
	}
	st.frame = append(body.b, '\n') // the encoder has written the first newline
	return st.write(st.frame)
}

// write sends bytes now. A client that does not read for StreamWriteTimeout is dropped.
func (st *streaming) write(b []byte) error {
	err := st.control.SetWriteDeadline(time.Now().Add(StreamWriteTimeout))
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	n, err := st.x.w.Write(b)
	st.x.sent += n
	if err != nil {
		return err
	}
	return st.control.Flush()
}
