package chaos

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Record is the part of a history's record that the judge reads.
type Record struct {
	Seq    uint64 `json:"seq"`
	Type   string `json:"type"`
	Task   string `json:"task"`
	Signal string `json:"signal"`
}

// Evidence is what the node says in the end.
type Evidence struct {
	Histories map[string][]Record // by execution
	Missing   []string            // executions that the node says it does not know
	Receipts  map[string]Receipt  // by signal, of those that were looked up
	Triggered map[string][]string // by event: the workflows that it started executions of
	Books     map[string]Book     // by name
}

// Receipt is what the node says about one signal.
type Receipt struct {
	State   string // consumed, buffered, ...; "" when there is none
	Outcome string // of the first answer; "" when the receipt does not tell
}

// Verdict is what came of holding the ledger against the evidence. Every list
// holds sentences for people; a correct node leaves all of them empty.
type Verdict struct {
	Signals, Events, Starts int // acknowledged
	Unknown                 int // messages that were never answered
	Resent                  int // messages whose first answer said "duplicate", see Ledger.Resends
	Lost                    []string
	Doubled                 []string
	Disordered              []string
	Disagreed               []string

	resends bool
}

// Err is nil for a clean verdict and else tells the first few of each kind.
func (v *Verdict) Err() error {
	var b strings.Builder
	for _, kind := range []struct {
		name string
		list []string
	}{{"lost", v.Lost}, {"doubled", v.Doubled}, {"out of order", v.Disordered}, {"disagreed", v.Disagreed}} {
		const shown = 8
		for i, line := range kind.list {
			if i == shown {
				fmt.Fprintf(&b, "%s: and %d more\n", kind.name, len(kind.list)-shown)
				break
			}
			fmt.Fprintf(&b, "%s: %s\n", kind.name, line)
		}
	}
	if b.Len() == 0 {
		return nil
	}
	return fmt.Errorf("the node broke its promise:\n%s", b.String())
}

// Judge holds a ledger that nobody writes to any more against the evidence.
// triggers names the workflows that every event must start once.
func Judge(l *Ledger, e *Evidence, triggers []string) *Verdict {
	v := &Verdict{Disagreed: slices.Clone(l.refused), resends: l.Resends}
	v.starts(l, e)
	seen := tallies(e.Histories)
	for _, id := range slices.Sorted(maps.Keys(l.signals)) {
		v.signal(l.signals[id], seen[id])
	}
	for _, id := range slices.Sorted(maps.Keys(seen)) {
		if l.signals[id] == nil {
			v.Disagreed = append(v.Disagreed, fmt.Sprintf("signal %s is in a history and nobody sent it", id))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(e.Receipts)) {
		v.receipt(l.signals[id], e.Receipts[id])
	}
	for _, id := range slices.Sorted(maps.Keys(l.events)) {
		v.event(l.events[id], e.Triggered[id], triggers)
	}
	v.balance(e, seen)
	for _, exec := range slices.Sorted(maps.Keys(e.Histories)) {
		v.order(l, exec, e.Histories[exec])
		v.work(exec, e.Histories[exec])
	}
	return v
}

// tally is how often the histories name a signal, by what happened to it.
type tally struct {
	accepted, consumed, buffered int
	execs                        map[string]bool
}

func tallies(histories map[string][]Record) map[string]*tally {
	all := map[string]*tally{}
	for exec, records := range histories {
		for _, r := range records {
			if r.Signal == "" {
				continue
			}
			t := all[r.Signal]
			if t == nil {
				t = &tally{execs: map[string]bool{}}
				all[r.Signal] = t
			}
			t.execs[exec] = true
			switch r.Type {
			case "signal.accepted":
				t.accepted++
			case "signal.consumed":
				t.consumed++
			case "signal.buffered":
				t.buffered++
			}
		}
	}
	return all
}

func (v *Verdict) starts(l *Ledger, e *Evidence) {
	for _, acknowledged := range l.starts {
		if acknowledged {
			v.Starts++
		}
	}
	for _, exec := range e.Missing {
		if l.starts[exec] {
			v.Lost = append(v.Lost, fmt.Sprintf("execution %s: its start was acknowledged, the node does not know it", exec))
		}
	}
}

func (v *Verdict) signal(s *Sent, t *tally) {
	if t == nil {
		t = &tally{}
	}
	what := fmt.Sprintf("signal %s (client %d, number %d) to %s: %d answers, %d unknown; in the history accepted %d, consumed %d times",
		s.ID, s.Client, s.N, s.Exec, len(s.Answers), s.Unknown, t.accepted, t.consumed)
	if t.accepted > 1 || t.consumed > 1 || len(t.execs) > 1 {
		v.Doubled = append(v.Doubled, what)
	}
	if !s.acknowledged() {
		v.Unknown++
		return
	}
	v.Signals++
	if t.accepted == 0 || t.consumed == 0 {
		v.Lost = append(v.Lost, what)
		return
	}
	v.answers(s)
	if first := s.Answers[0]; (first.Outcome == "buffered") != (t.buffered > 0) {
		v.Disagreed = append(v.Disagreed, fmt.Sprintf("%s; it was answered %q, and buffered %d times", what, first.Outcome, t.buffered))
	}
}

// answers checks that a message has one first answer, and that the others repeat it.
func (v *Verdict) answers(s *Sent) {
	originals := 0
	for _, a := range s.Answers {
		if !a.Duplicate {
			originals++
		}
		if first := s.Answers[0]; a.Outcome != first.Outcome || a.Wait != first.Wait {
			v.Disagreed = append(v.Disagreed, fmt.Sprintf("%s was answered %+v and then %+v", s.ID, first, a))
		}
	}
	if originals == 0 && s.Unknown == 0 && v.resends {
		v.Resent++
		return
	}
	// Only an attempt that nobody heard the answer of can hide the first one.
	if originals > 1 || originals == 0 && s.Unknown == 0 {
		v.Disagreed = append(v.Disagreed, fmt.Sprintf("%s: %d answers, %d unknown attempts, and %d answers that were not marked duplicate", s.ID, len(s.Answers), s.Unknown, originals))
	}
}

func (v *Verdict) receipt(s *Sent, r Receipt) {
	if s == nil || !s.acknowledged() {
		return
	}
	switch {
	case r.State == "":
		v.Lost = append(v.Lost, fmt.Sprintf("the receipt of signal %s", s.ID))
	case r.State != "consumed":
		v.Disagreed = append(v.Disagreed, fmt.Sprintf("signal %s is consumed, its receipt says %q", s.ID, r.State))
	case r.Outcome != "" && r.Outcome != s.Answers[0].Outcome:
		v.Disagreed = append(v.Disagreed, fmt.Sprintf("signal %s was answered %q, its receipt says %q", s.ID, s.Answers[0].Outcome, r.Outcome))
	}
}

func (v *Verdict) event(s *Sent, started, triggers []string) {
	count := map[string]int{}
	for _, workflow := range started {
		count[workflow]++
	}
	if s.acknowledged() {
		v.Events++
		v.answers(s)
	} else {
		v.Unknown++
	}
	for _, workflow := range triggers {
		what := fmt.Sprintf("event %s: %d answers, %d unknown, started %s %d times", s.ID, len(s.Answers), s.Unknown, workflow, count[workflow])
		if count[workflow] > 1 {
			v.Doubled = append(v.Doubled, what)
		}
		if count[workflow] == 0 && s.acknowledged() {
			v.Lost = append(v.Lost, what)
		}
	}
}

// order checks that the acknowledged signals of each client were consumed in
// the order in which the client sent them: it sent the next only after the
// answer to the one before.
func (v *Verdict) order(l *Ledger, exec string, records []Record) {
	last := map[int]*Sent{}
	for _, r := range records {
		s := l.signals[r.Signal]
		if r.Type != "signal.consumed" || s == nil || !s.acknowledged() {
			continue
		}
		if before := last[s.Client]; before != nil && before.N > s.N {
			v.Disordered = append(v.Disordered, fmt.Sprintf("%s: client %d sent number %d before number %d, they were applied the other way round", exec, s.Client, s.N, before.N))
		}
		last[s.Client] = s
	}
}

// countingTask is the task that runs once for every signal a counter consumed.
const countingTask = "count"

// work checks that every consumed signal led to its task exactly once, that is,
// that no result of an effect was lost or applied twice.
func (v *Verdict) work(exec string, records []Record) {
	consumed, counted := 0, 0
	for _, r := range records {
		switch {
		case r.Type == "signal.consumed":
			consumed++
		case r.Type == "task.done" && r.Task == countingTask:
			counted++
		}
	}
	what := fmt.Sprintf("%s: %d signals consumed, task %q ended well %d times", exec, consumed, countingTask, counted)
	if counted < consumed {
		v.Lost = append(v.Lost, what)
	}
	if counted > consumed {
		v.Doubled = append(v.Doubled, what)
	}
}
