package http

import (
	"bytes"
	"context"
	"net/http"
	"testing"

	"github.com/signalbox/signalbox/workflow"
)

// quickNode answers signals and events at once: what is left is the front door.
type quickNode struct{ *fakeNode }

func (quickNode) Signal(_ context.Context, s workflow.Signal) (workflow.Answer, error) {
	return workflow.Answer{SignalID: s.ID, Outcome: workflow.Delivered, WaitID: "wait-for-it/1", WaitTask: "wait-for-it", Status: workflow.Running}, nil
}

func (quickNode) Event(_ context.Context, e workflow.Event) (*workflow.EventReceipt, bool, error) {
	return nil, false, nil
}

// sink is a response writer that keeps nothing.
type sink struct {
	head   http.Header
	status int
}

func (s *sink) Header() http.Header         { return s.head }
func (s *sink) WriteHeader(status int)      { s.status = status }
func (s *sink) Write(p []byte) (int, error) { return len(p), nil }

// rereader is a body that can be sent again.
type rereader struct{ bytes.Reader }

func (*rereader) Close() error { return nil }

// prepared is one request that can be sent again and again.
func prepared(t testing.TB, path, body string, status int, keys bool) (send func()) {
	node := quickNode{newFakeNode()}
	o := Options{Node: node, Echo: true}
	var token string
	if keys {
		o.Keys = NewKeyRing(node)
		var err error
		if token, _, err = o.Keys.Bootstrap(context.Background(), "bench", ""); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(o.Keys.Close)
	}
	server := NewServer(o)
	r, err := http.NewRequest("POST", path, nil)
	if err != nil {
		t.Fatal(err)
	}
	reader := new(rereader)
	r.Body, r.ContentLength = reader, int64(len(body))
	r.Header.Set("Content-Type", "application/json")
	if keys {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w, text := &sink{head: make(http.Header)}, []byte(body)
	return func() {
		reader.Reset(text)
		clear(w.head)
		server.ServeHTTP(w, r)
		if w.status != status {
			t.Fatalf("status %d", w.status)
		}
	}
}

func benchmark(b *testing.B, path, body string, status int, keys bool) {
	send := prepared(b, path, body, status, keys)
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		send()
	}
}

const benchSignal = `{"signal_name":"approval-decision","payload":{"decision":"approved","approved_by":"manager@example.com"}}`

const benchEvent = `{"name":"approval-request","payload":{"user_id":"123","request_type":"approval"}}`

// BenchmarkEcho is what the stack costs without a message in it.
func BenchmarkEcho(b *testing.B) { benchmark(b, api+"/echo", benchSignal, 200, false) }

func BenchmarkSignal(b *testing.B) { benchmark(b, signalPath("exec_123"), benchSignal, 200, false) }

func BenchmarkSignalWithKey(b *testing.B) {
	benchmark(b, signalPath("exec_123"), benchSignal, 200, true)
}

func BenchmarkEvent(b *testing.B) {
	benchmark(b, api+"/events", benchEvent, 202, false)
}

func BenchmarkDecodeSignal(b *testing.B) {
	body := []byte(benchSignal)
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if _, err := decodeSignal(body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeLargeSignal(b *testing.B) {
	body := []byte(`{"signal_name":"x","payload":{"text":"` + string(bytes.Repeat([]byte("lorem ipsum "), 40_000)) + `"}}`)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if _, err := decodeSignal(body); err != nil {
			b.Fatal(err)
		}
	}
}

// TestHotPathAllocates bounds the allocations of a signal: growth there is
// paid by every message of every node.
func TestHotPathAllocates(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates, too")
	}
	for _, c := range []struct {
		path, body string
		status     int
		keys       bool
		most       float64
	}{
		{api + "/echo", benchSignal, 200, false, 2},
		{signalPath("exec_123"), benchSignal, 200, false, 6},
		{signalPath("exec_123"), benchSignal, 200, true, 6},
		{api + "/events", benchEvent, 202, false, 5},
	} {
		// A garbage collection may empty a pool in between, hence the one more.
		if got := testing.AllocsPerRun(200, prepared(t, c.path, c.body, c.status, c.keys)); got > c.most+1 {
			t.Errorf("%s (keys: %v): %v allocations, at most %v are allowed", c.path, c.keys, got, c.most)
		}
	}
}
