package chaos

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// defect is something that a fake node does wrong, to prove that the judge sees it.
type defect string

const (
	none         defect = "none"
	forgets      defect = "acknowledges a signal and forgets it"
	swallows     defect = "accepts a signal and never applies it"
	applyTwice   defect = "applies a repeated signal again"
	applyOther   defect = "applies a signal to another execution too"
	reorders     defect = "applies two signals of a client the wrong way round"
	contradicts  defect = "answers a repeat with another outcome"
	unmarked     defect = "answers a repeat as if it were the first"
	amnesia      defect = "forgets an execution"
	startsTwice  defect = "starts two executions for one event"
	startsNone   defect = "acknowledges an event and starts nothing"
	worksTwice   defect = "applies the result of a task twice"
	losesReceipt defect = "loses a receipt"
	staleReceipt defect = "says that a consumed signal is buffered"
	miscounts    defect = "counts a repeated signal again in its books"
	misplaces    defect = "counts a consumed signal twice and an accepted one once"
	refuses      defect = "refuses a signal to an execution that waits for it"
)

// fakeNode is as much of a node as the clients use, in memory. It drops
// connections before and after it has done what was asked, as a kill would.
type fakeNode struct {
	mu      sync.Mutex
	defect  defect
	dice    *rand.Rand
	execs   map[string]*fakeExec
	order   []string // execution ids in the order of their start
	answers map[string]map[string]any
	events  map[string]bool
	handled int
	enough  int           // requests after which quit is closed
	quit    chan struct{} // of the load
}

type fakeExec struct {
	workflow, event string
	records         []Record
	held            *Record // consumed record that is held back, to be written after the next one
}

func newFakeNode(d defect, requests int) *fakeNode {
	return &fakeNode{
		defect: d, dice: rand.New(rand.NewPCG(1, 2)), enough: requests, quit: make(chan struct{}),
		execs: map[string]*fakeExec{}, answers: map[string]map[string]any{}, events: map[string]bool{},
	}
}

// wrong reports whether to do the defect now; it is done seldom, but for those
// that only a repeat can show, because repeats are seldom themselves.
func (f *fakeNode) wrong(d defect) bool {
	odds := 40
	if d == unmarked || d == contradicts {
		odds = 3
	}
	return f.defect == d && f.dice.IntN(odds) == 0
}

func (f *fakeNode) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var body map[string]any
	if r.Method == "POST" {
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		f.handled++
		if f.handled == f.enough {
			close(f.quit)
		}
	}
	dropped := r.Method == "POST" && f.handled < f.enough && f.dice.IntN(50) == 0
	if dropped && f.dice.IntN(2) == 0 {
		panic(http.ErrAbortHandler)
	}
	status, data := f.route(r, body)
	if dropped {
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(map[string]any{"status": status, "data": data, "code": "fake"}); err != nil {
		panic(http.ErrAbortHandler)
	}
}

func (f *fakeNode) route(r *http.Request, body map[string]any) (int, any) {
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/api/v0/"), "/")
	last := parts[len(parts)-1]
	switch {
	case last == "books":
		return f.books()
	case last == "events":
		return f.event(body)
	case last == "signals":
		return f.signal(parts[2], body)
	case parts[0] == "signals":
		return f.receipt(last)
	case last == "history":
		return f.history(parts[2], r.URL.Query().Get("after"))
	case r.Method == "POST":
		f.start(parts[1], body["exec_id"].(string), "")
		return http.StatusAccepted, nil
	default:
		return http.StatusOK, map[string]any{"executions": f.list(r.URL.Query().Get("workflow_id"))}
	}
}

func (f *fakeNode) start(workflow, id, event string) {
	if f.execs[id] == nil {
		f.execs[id] = &fakeExec{workflow: workflow, event: event}
		f.order = append(f.order, id)
	}
}

func (e *fakeExec) note(typ, task, signal string) {
	e.records = append(e.records, Record{Seq: uint64(len(e.records) + 1), Type: typ, Task: task, Signal: signal})
}

func (f *fakeNode) signal(exec string, body map[string]any) (int, any) {
	id := body["signal_id"].(string)
	e := f.execs[exec]
	if e == nil || f.wrong(refuses) {
		return http.StatusNotFound, nil
	}
	first, known := f.answers[id]
	if !known {
		first = map[string]any{"signal_id": id, "outcome": "delivered", "wait": map[string]any{"id": "tick/1"}}
		f.answers[id] = first
		if !f.wrong(forgets) {
			f.apply(e, exec, id)
		}
		return http.StatusOK, first
	}
	if f.wrong(applyTwice) {
		f.apply(e, exec, id)
	}
	again := map[string]any{"signal_id": id, "outcome": "delivered", "wait": first["wait"], "duplicate": !f.wrong(unmarked)}
	if f.wrong(contradicts) {
		again["outcome"] = "buffered"
	}
	return http.StatusOK, again
}

// apply writes what a correct node would write, apart from the defect.
func (f *fakeNode) apply(e *fakeExec, exec, id string) {
	e.note("signal.accepted", "", id)
	if f.wrong(swallows) {
		return
	}
	if f.wrong(reorders) && e.held == nil {
		e.held = &Record{Signal: id}
		return
	}
	e.note("signal.consumed", "", id)
	e.note("task.done", countingTask, "")
	if e.held != nil {
		e.note("signal.consumed", "", e.held.Signal)
		e.note("task.done", countingTask, "")
		e.held = nil
	}
	if f.wrong(worksTwice) {
		e.note("task.done", countingTask, "")
	}
	if f.wrong(applyOther) {
		for _, other := range f.order {
			if o := f.execs[other]; other != exec && o.workflow == e.workflow {
				o.note("signal.accepted", "", id)
				o.note("signal.consumed", "", id)
				o.note("task.done", countingTask, "")
				break
			}
		}
	}
}

func (f *fakeNode) books() (int, any) {
	ticks, events := len(f.answers), len(f.events)
	more := 0
	if f.defect == miscounts {
		ticks++
	}
	if f.defect == misplaces {
		more++
	}
	return http.StatusOK, map[string]any{"rows": []map[string]any{
		{"name": signalName, "accepted": ticks, "consumed": ticks + more}, {"name": eventName, "accepted": events, "consumed": events}}}
}

func (f *fakeNode) event(body map[string]any) (int, any) {
	id := body["id"].(string)
	known := f.events[id]
	f.events[id] = true
	if !known && !f.wrong(startsNone) {
		for _, workflow := range listeners {
			f.start(workflow, id+"/"+workflow, id)
			if f.wrong(startsTwice) {
				f.start(workflow, id+"/"+workflow+"/again", id)
			}
		}
	}
	return http.StatusAccepted, map[string]any{"event_id": id, "duplicate": known}
}

func (f *fakeNode) receipt(id string) (int, any) {
	if f.answers[id] == nil || f.wrong(losesReceipt) {
		return http.StatusNotFound, nil
	}
	state := "consumed"
	if f.wrong(staleReceipt) {
		state = "buffered"
	}
	return http.StatusOK, map[string]any{"state": state}
}

// forgotten is the first execution that a client started: what an event started
// is looked for by its event, and nobody asks for its history.
func (f *fakeNode) forgotten() string {
	for _, exec := range f.order {
		if f.execs[exec].event == "" {
			return exec
		}
	}
	return ""
}

func (f *fakeNode) history(exec, after string) (int, any) {
	e := f.execs[exec]
	if e == nil || f.defect == amnesia && exec == f.forgotten() {
		return http.StatusNotFound, nil
	}
	var seq int
	if _, err := fmt.Sscan(after, &seq); err != nil {
		return http.StatusBadRequest, nil
	}
	seq = min(seq, len(e.records))
	return http.StatusOK, map[string]any{"records": e.records[seq:min(len(e.records), seq+historyPage)]}
}

func (f *fakeNode) list(workflow string) []map[string]any {
	var rows []map[string]any
	for _, id := range f.order {
		if e := f.execs[id]; e.workflow == workflow {
			rows = append(rows, map[string]any{"status": "SUCCESS", "input": map[string]any{"event": e.event}})
		}
	}
	return rows
}

// TestTheJudgeSeesEveryDefect runs the real clients against a fake node that
// does one thing wrong, and wants the verdict to name it; and a clean verdict
// for the fake node that does nothing wrong but drop connections.
func TestTheJudgeSeesEveryDefect(t *testing.T) {
	kinds := map[string]func(*Verdict) []string{
		"lost":       func(v *Verdict) []string { return v.Lost },
		"doubled":    func(v *Verdict) []string { return v.Doubled },
		"disordered": func(v *Verdict) []string { return v.Disordered },
		"disagreed":  func(v *Verdict) []string { return v.Disagreed },
	}
	for d, kind := range map[defect]string{
		none: "", forgets: "lost", swallows: "lost", applyTwice: "doubled", applyOther: "doubled",
		reorders: "disordered", contradicts: "disagreed", unmarked: "disagreed", amnesia: "lost",
		startsTwice: "doubled", startsNone: "lost", worksTwice: "doubled", losesReceipt: "lost",
		staleReceipt: "disagreed", miscounts: "disagreed", misplaces: "disagreed", refuses: "disagreed",
	} {
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			v := judgeFake(t, d)
			if v.Signals < 100 || v.Events < 5 || v.Starts < clients {
				t.Errorf("too little was acknowledged to judge by: %d signals, %d events, %d starts", v.Signals, v.Events, v.Starts)
			}
			if err := v.Err(); (err == nil) != (d == none) {
				t.Fatalf("the verdict is: %v", err)
			}
			if kind != "" && len(kinds[kind](v)) == 0 {
				t.Errorf("the defect was not called %s: %v", kind, v.Err())
			}
		})
	}
}

// judgeFake runs the load against a fake node with the defect and judges it.
func judgeFake(t *testing.T, d defect) *Verdict {
	const requests = 4000
	fake := newFakeNode(d, requests)
	server := httptest.NewServer(fake)
	defer server.Close()
	l := &load{ledger: NewLedger(), gate: &gate{}, http: newHTTP(), seed: 7, quit: fake.quit, hold: time.Millisecond}
	defer l.http.CloseIdleConnections()
	l.gate.move(server.URL)
	if err := l.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	e, err := gather(t.Context(), api{base: server.URL, http: l.http}, l.ledger, l.seed, 100*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	return Judge(l.ledger, e, listeners)
}
