package http

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/signalbox/signalbox/workflow"
)

// streamWriter is the far end of a stream in virtual time: it keeps what was
// flushed, and can stop reading like a client that has gone to sleep.
type streamWriter struct {
	mu       sync.Mutex
	head     http.Header
	status   int
	text     strings.Builder
	deadline time.Time
	asleep   bool
}

func (w *streamWriter) Header() http.Header             { return w.head }
func (w *streamWriter) WriteHeader(status int)          { w.status = status }
func (w *streamWriter) FlushError() error               { return nil }
func (w *streamWriter) SetReadDeadline(time.Time) error { return nil }

func (w *streamWriter) SetWriteDeadline(at time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deadline = at
	return nil
}

func (w *streamWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.asleep {
		hold := time.Until(w.deadline)
		w.mu.Unlock()
		time.Sleep(hold)
		w.mu.Lock()
		return 0, os.ErrDeadlineExceeded
	}
	return w.text.Write(p)
}

func (w *streamWriter) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// follow opens a stream; done is closed when it has ended.
func (d *door) follow(ctx context.Context, path string, header ...string) (w *streamWriter, done chan struct{}) {
	w, done = &streamWriter{head: make(http.Header)}, make(chan struct{})
	r := httptest.NewRequestWithContext(ctx, "GET", path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	go func() {
		defer close(done)
		d.server.ServeHTTP(w, r)
	}()
	return w, done
}

const streamOfE = "/api/v0/executions/workflows/e/stream"

// frames are the events of a stream as "id type".
func frames(text string) []string {
	var all []string
	for part := range strings.SplitSeq(text, "\n\n") {
		var id, kind string
		for line := range strings.SplitSeq(part, "\n") {
			if v, ok := strings.CutPrefix(line, "id: "); ok {
				id = v
			}
			if v, ok := strings.CutPrefix(line, "event: "); ok {
				kind = v
			}
		}
		if kind != "" {
			all = append(all, id+" "+kind)
		}
	}
	return all
}

func wantFrames(t *testing.T, w *streamWriter, want ...string) {
	t.Helper()
	if got := frames(w.String()); strings.Join(got, ",") != strings.Join(want, ",") {
		t.Fatalf("the stream has %q, want %q", got, want)
	}
}

func ended(done chan struct{}) bool {
	synctest.Wait()
	select {
	case <-done:
		return true
	default:
		return false
	}
}

func TestStreamFollowsToTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		d.begin("e")
		w, done := d.follow(t.Context(), streamOfE)
		synctest.Wait()
		wantFrames(t, w, "1 execution.started", "2 wait.opened")
		if w.head.Get("Content-Type") != "text/event-stream" || w.head.Get("Cache-Control") != "no-cache" || !strings.HasPrefix(w.String(), "retry: 2000\n\n") {
			t.Fatalf("%v %q", w.head, w.String())
		}
		if !strings.Contains(w.String(), `data: {"seq":1,"at":"2000-01-01T00:00:00.000Z","type":"execution.started","data":{"n":1}}`+"\n\n") {
			t.Fatalf("the record is not whole: %q", w.String())
		}
		d.post(signalPath("e"), approved).want(200)
		if !ended(done) {
			t.Fatal("the stream goes on after the end")
		}
		wantFrames(t, w, "1 execution.started", "2 wait.opened", "3 signal.accepted", "4 signal.consumed", "5 execution.finished", "6 complete")
		if !strings.Contains(w.String(), `"status":"SUCCESS"`) || d.node.watching() != 0 {
			t.Fatalf("%d watches are left; %q", d.node.watching(), w.String())
		}
	})
}

func TestStreamResumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		d.begin("e")
		d.post(signalPath("e"), approved).want(200)
		for after, want := range map[string][]string{
			"2": {"3 signal.accepted", "4 signal.consumed", "5 execution.finished", "6 complete"},
			"5": {"6 complete"},
		} {
			w, done := d.follow(t.Context(), streamOfE, "Last-Event-ID", after)
			if !ended(done) {
				t.Fatal("the stream goes on after the end")
			}
			wantFrames(t, w, want...)
		}
		w, done := d.follow(t.Context(), streamOfE+"?last_event_id=6")
		if !ended(done) || w.status != 204 || w.String() != "" {
			t.Fatalf("after the last event: status %d, %q", w.status, w.String())
		}
		d.get(streamOfE, "Last-Event-ID", "last").problem(400, workflow.CodeInvalid)
		d.get("/api/v0/executions/workflows/nobody/stream").problem(404, workflow.CodeNoExecution)
	})
}

// TestStreamFromBeyondTheLastRecord: a number that no record has is not seen by anybody,
// and the stream goes on after the last record that is there.
func TestStreamFromBeyondTheLastRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		d.begin("e")
		w, done := d.follow(t.Context(), streamOfE, "Last-Event-ID", "999")
		if ended(done) || w.status != 200 {
			t.Fatalf("status %d, %q", w.status, w.String())
		}
		wantFrames(t, w)
		d.post(signalPath("e"), approved).want(200)
		if !ended(done) {
			t.Fatal("the stream goes on after the end")
		}
		wantFrames(t, w, "3 signal.accepted", "4 signal.consumed", "5 execution.finished", "6 complete")
		if w, done := d.follow(t.Context(), streamOfE, "Last-Event-ID", "999"); !ended(done) || w.status != 204 {
			t.Fatalf("after the end: status %d, %q", w.status, w.String())
		}
	})
}

// TestStreamLooksAgainWhenNoRecordComes: it ends with its execution, whatever the
// history has of that.
func TestStreamLooksAgainWhenNoRecordComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		d.begin("e")
		w, done := d.follow(t.Context(), streamOfE)
		synctest.Wait()
		d.node.mu.Lock()
		e := d.node.executions["e"]
		e.state.Status = workflow.Canceled
		d.node.commit(e, 1)
		d.node.mu.Unlock()
		if !ended(done) {
			t.Fatal("the stream goes on after the end")
		}
		wantFrames(t, w, "1 execution.started", "2 wait.opened", "3 error")
	})
}

func TestStreamFilters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		d.begin("e")
		w, done := d.follow(t.Context(), streamOfE+"?events=wait.opened,signal.consumed")
		synctest.Wait()
		if _, err := d.node.Steer(t.Context(), "e", workflow.CancelAsked{Stamp: workflow.Stamp{At: 1}}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		wantFrames(t, w, "2 wait.opened")
		d.node.mu.Lock()
		e := d.node.executions["e"]
		e.state.Error = &workflow.Failure{Message: "it was canceled"}
		d.node.commit(e, 2, workflow.Record{Type: workflow.ExecutionFinished}, workflow.Record{Type: workflow.SignalDead})
		d.node.mu.Unlock()
		if !ended(done) {
			t.Fatal("the stream goes on after the end")
		}
		wantFrames(t, w, "2 wait.opened", "6 error")
		if !strings.Contains(w.String(), `{"error":{"message":"it was canceled"},"status":"CANCELED"}`) {
			t.Fatalf("%q", w.String())
		}
		p := d.get(streamOfE+"?events=wait.open").problem(400, workflow.CodeInvalid)
		if !strings.Contains(p.Detail, "unknown event type") || !strings.Contains(p.Hint, "wait.opened") {
			t.Fatalf("%+v", p)
		}
	})
}

func TestStreamHeartbeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		d.begin("e")
		ctx, leave := context.WithCancel(t.Context())
		w, done := d.follow(ctx, streamOfE)
		time.Sleep(time.Hour + time.Second)
		if got, want := strings.Count(w.String(), ": ping\n\n"), int(time.Hour/HeartbeatInterval); got != want {
			t.Fatalf("%d heartbeats in an hour, want %d", got, want)
		}
		leave()
		if !ended(done) || d.node.watching() != 0 {
			t.Fatal("the stream outlives its client")
		}
	})
}

func TestStreamDropsWhoDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		d.begin("e")
		w, done := d.follow(t.Context(), streamOfE)
		synctest.Wait()
		w.mu.Lock()
		w.asleep = true
		w.mu.Unlock()
		began := time.Now()
		<-done
		if took := time.Since(began); took != HeartbeatInterval+StreamWriteTimeout {
			t.Fatalf("dropped after %v", took)
		}
	})
}

func TestStreamsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t, func(o *Options) { o.MaxStreams = 2 })
		d.begin("e")
		ctx, leave := context.WithCancel(t.Context())
		_, first := d.follow(ctx, streamOfE)
		_, second := d.follow(t.Context(), streamOfE)
		synctest.Wait()
		d.get(streamOfE).problem(503, workflow.CodeOverloaded)
		d.get("/api/v0/executions/workflows/e").want(200)
		leave()
		<-first
		_, third := d.follow(t.Context(), streamOfE)
		if ended(third) || ended(second) {
			t.Fatal("a place that was left is not free")
		}
		d.post(signalPath("e"), approved).want(200)
		<-second
		<-third
	})
}

func TestStreamsEndWithTheNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		d.begin("e")
		w, done := d.follow(t.Context(), streamOfE)
		synctest.Wait()
		if err := d.server.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !ended(done) || !strings.HasSuffix(w.String(), ": the node is stopping; reconnect with Last-Event-ID\n\n") {
			t.Fatalf("%q", w.String())
		}
		r := data[Readiness](d.get("/readyz").want(503))
		if r.Ready || r.Status != "draining" {
			t.Fatalf("%+v", r)
		}
	})
}

// TestStreamOfLongHistory: more records than fit one reading.
func TestStreamOfLongHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		d.begin("e")
		d.node.mu.Lock()
		e := d.node.executions["e"]
		for range 3*streamPage - 2 {
			d.node.commit(e, 1, workflow.Record{Type: workflow.TaskStarted})
		}
		d.node.mu.Unlock()
		d.post(signalPath("e"), approved).want(200)
		w, done := d.follow(t.Context(), streamOfE)
		if !ended(done) {
			t.Fatal("the stream goes on after the end")
		}
		all := frames(w.String())
		if len(all) != 3*streamPage+4 || all[len(all)-1] != fmt.Sprint(3*streamPage+4, " complete") {
			t.Fatalf("%d frames, the last is %q", len(all), all[len(all)-1])
		}
	})
}

// TestStreamOfNodeInTrouble: the answer has begun, so the stream just ends.
func TestStreamOfNodeInTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		d.begin("e")
		w, done := d.follow(t.Context(), streamOfE)
		synctest.Wait()
		before := w.String()
		d.node.mu.Lock()
		d.node.fails = errors.New("the disk is on fire")
		d.node.commit(d.node.executions["e"], 1)
		d.node.mu.Unlock()
		if !ended(done) || w.String() != before {
			t.Fatalf("%q", w.String())
		}
	})
}

// followAs opens a stream with a new key of that scope.
func (d *door) followAs(spec KeySpec) (w *streamWriter, done chan struct{}, key Key) {
	d.t.Helper()
	token, key, err := d.server.keys.Create(d.t.Context(), spec)
	if err != nil {
		d.t.Fatal(err)
	}
	w, done = d.follow(d.t.Context(), streamOfE, "Authorization", "Bearer "+token)
	synctest.Wait()
	return w, done, key
}

// TestStreamEndsWithItsKey: one that is revoked gets no further record, and hears why;
// the streams of others go on.
func TestStreamEndsWithItsKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newLockedDoor(t)
		d.begin("e")
		reader := KeySpec{Name: "reader", Scopes: []Scope{ExecutionsRead}}
		revoked, revokedDone, key := d.followAs(reader)
		other, otherDone, _ := d.followAs(reader)
		d.do("DELETE", "/api/v0/keys/"+key.ID, "").want(200)
		d.post(signalPath("e"), `{"signal_name":"approval-decision","payload":{"decision":"pending"}}`).want(200)
		if !ended(revokedDone) || d.node.watching() != 1 {
			t.Fatalf("the stream outlives its key: %q", revoked.String())
		}
		wantFrames(t, revoked, "1 execution.started", "2 wait.opened")
		if !strings.Contains(revoked.String(), "\n\n: the API key was revoked at 2000-01-01T00:00:00.000Z; ") || !strings.HasSuffix(revoked.String(), "\n\n") {
			t.Fatalf("it does not say why: %q", revoked.String())
		}
		if ended(otherDone) {
			t.Fatalf("the stream of another key ended: %q", other.String())
		}
		d.post(signalPath("e"), approved).want(200)
		if !ended(otherDone) {
			t.Fatal("the stream goes on after the end")
		}
	})
}

// TestStreamOfADeadKeyEndsAtAHeartbeat, also when nothing happens to its execution.
func TestStreamOfADeadKeyEndsAtAHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newLockedDoor(t)
		d.begin("e")
		reader := KeySpec{Name: "reader", Scopes: []Scope{ExecutionsRead}}
		revoked, revokedDone, key := d.followAs(reader)
		elsewhere, elsewhereDone, moved := d.followAs(reader)
		reader.Expires = time.Hour
		expired, expiredDone, _ := d.followAs(reader)
		d.do("DELETE", "/api/v0/keys/"+key.ID, "").want(200)
		time.Sleep(HeartbeatInterval)
		if !ended(revokedDone) || !strings.Contains(revoked.String(), ": the API key was revoked") || strings.Contains(revoked.String(), "ping") {
			t.Fatalf("revoked: %q", revoked.String())
		}
		there := NewKeyRing(d.node)
		defer there.Close()
		if _, err := there.Revoke(t.Context(), moved.ID, ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(KeyRefresh + HeartbeatInterval)
		if !ended(elsewhereDone) || !strings.Contains(elsewhere.String(), ": the API key was revoked") {
			t.Fatalf("revoked on another node: %q", elsewhere.String())
		}
		time.Sleep(time.Hour)
		if !ended(expiredDone) || !strings.Contains(expired.String(), ": the API key expired at 2000-01-01T01:00:00.000Z") {
			t.Fatalf("expired: %q", expired.String())
		}
		if pings := strings.Count(expired.String(), ": ping"); pings != int(time.Hour/HeartbeatInterval)-1 {
			t.Fatalf("%d heartbeats before it expired", pings)
		}
	})
}
