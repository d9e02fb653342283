package http

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

const ndjson = "application/x-ndjson"

// lineResult is one line of an answer to NDJSON.
type lineResult struct {
	Index   int
	Status  int
	Ended   bool
	Data    map[string]any
	Problem *Problem
}

func readResults(t *testing.T, body []byte) (results []lineResult) {
	t.Helper()
	for line := range strings.Lines(string(body)) {
		var r lineResult
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		results = append(results, r)
	}
	return results
}

// TestLinesAreReadInTheMemoryOfOne: a stream of many times the memory that a
// request may hold is read to its end, piece by piece.
func TestLinesAreReadInTheMemoryOfOne(t *testing.T) {
	d := newDoor(t)
	const each = 64 << 10
	n := (MaxBatchBytes - 1<<20) / each
	filler := strings.Repeat("x", each-64)
	read, write := io.Pipe()
	go func() {
		for i := range n {
			fmt.Fprintf(write, `{"name":"e","id":"e%d","payload":{"a":"%s"}}`+"\n\n", i, filler)
		}
		write.Close()
	}()
	r := httptest.NewRequest("POST", api+"/events", read)
	r.Header.Set("Content-Type", ndjson)
	w := httptest.NewRecorder()
	var most int64
	d.node.beforeEvents = func() { most = max(most, d.server.bodies.Load()) }
	d.server.ServeHTTP(w, r)
	results := readResults(t, w.Body.Bytes())
	if w.Code != 200 || len(results) != n || w.Header().Get("Content-Type") != ndjson {
		t.Fatalf("%d, %d results of %d", w.Code, len(results), n)
	}
	for i, r := range results {
		if r.Index != i || r.Status != 202 || r.Data["event_id"] != fmt.Sprintf("e%d", i) {
			t.Fatalf("line %d: %+v", i, r)
		}
	}
	if most > 4*each {
		t.Fatalf("the stream held %d bytes", most)
	}
}

func TestAStreamThatBreaksOffSaysWhatWasKept(t *testing.T) {
	good := `{"name":"e"}` + "\n"
	for name, body := range map[string]io.Reader{
		"a line that is too long": strings.NewReader(good + good + `{"name":"` + strings.Repeat("x", MaxBodyBytes)),
		"cut":                     io.MultiReader(strings.NewReader(good+good), broken{}),
	} {
		t.Run(name, func(t *testing.T) {
			d := newDoor(t)
			r := httptest.NewRequest("POST", api+"/events", body)
			r.Header.Set("Content-Type", ndjson)
			w := httptest.NewRecorder()
			d.server.ServeHTTP(w, r)
			results := readResults(t, w.Body.Bytes())
			if len(results) != 3 || results[1].Status != 202 || !results[2].Ended || results[2].Problem == nil || results[2].Index != 2 {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			if len(d.node.events) != 2 || d.server.bodies.Load() != 0 {
				t.Fatalf("%d events were kept, %d bytes are held", len(d.node.events), d.server.bodies.Load())
			}
		})
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestABatchIsBounded(t *testing.T) {
	d := newDoor(t)
	many := "[" + strings.Repeat(`{"name":"e"},`, MaxBatch) + `{"name":"e"}]`
	d.do("POST", api+"/events", many).problem(413, CodeBodyTooLarge)
	d.do("POST", api+"/signals", strings.Repeat(" ", MaxBatchBytes)+"[]").problem(413, CodeBodyTooLarge)
	if len(d.node.events) != 0 {
		t.Fatal("some of a batch that is too large was kept")
	}
	results := readResults(t, d.do("POST", api+"/events", strings.Repeat(`{"name":"e"}`+"\n", MaxBatch+1), "Content-Type", ndjson).want(200).Body)
	if last := results[MaxBatch]; !last.Ended || last.Status != 413 || len(d.node.events) != MaxBatch {
		t.Fatalf("%+v after %d events", last, len(d.node.events))
	}
	// One event alone is as large as it ever was.
	d.do("POST", api+"/events", `{"name":"e","payload":{"a":"`+strings.Repeat("x", MaxBodyBytes)+`"}}`).problem(413, CodeBodyTooLarge)
}

func TestABatchHasNoIdentityOfItsOwn(t *testing.T) {
	d := newDoor(t)
	for _, path := range []string{"/signals", "/events"} {
		d.do("POST", api+path, `[]`, "Idempotency-Key", "k").problem(400, "invalid_request")
	}
	d.do("POST", api+"/signals", `{}`).problem(400, "invalid_request")
	d.do("POST", api+"/signals", `[]`, "Content-Type", "text/csv").problem(415, CodeMediaType)
	d.do("POST", api+"/signals", `[`).problem(400, "invalid_request")
}

func TestAStreamTakesNoPlaceOfQuickRequests(t *testing.T) {
	d := newDoor(t, func(o *Options) { o.MaxInFlight = 1 })
	read, write := io.Pipe()
	r := httptest.NewRequest("POST", api+"/events", read)
	r.Header.Set("Content-Type", ndjson)
	w := httptest.NewRecorder()
	done := make(chan struct{})
	go func() {
		d.server.ServeHTTP(w, r)
		close(done)
	}()
	if _, err := io.WriteString(write, `{"name":"e"}`+"\n"); err != nil {
		t.Fatal(err)
	}
	d.do("POST", api+"/events", `{"name":"e"}`).want(http.StatusAccepted)
	write.Close()
	<-done
	if len(readResults(t, w.Body.Bytes())) != 1 {
		t.Fatal(w.Body)
	}
}
