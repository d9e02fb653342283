package actors

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/signalbox/signalbox/workflow"
)

// What a message that came too late would have met is told from the histories of
// executions, so it is as true after a restart and on another node: nothing is
// written for it, and nobody looks for it before a message is dead. Histories are
// found by the end of their executions and by their workflows, the last of both. A
// node remembers besides what closed on it, so that the wait of an old execution
// that goes on is not passed over.

// recentWaits remembers, for the names of waits that closed lately, the last
// one. It is small and forgets: names that share a place push each other out.
type recentWaits [nearPlaces]struct {
	mu sync.Mutex
	recentWait
}

// recentWait is the wait of a name that closed last, as far as is known.
type recentWait struct {
	name   string
	execID string // "" when none is known
	wait   string
	how    string
	at     workflow.Instant
}

// looks bounds how often the store is asked: by a flood of what nobody wants no
// more often than NearLooks times a second, and what is remembered must do then.
type looks struct {
	mu     sync.Mutex
	credit credit
}

func (l *looks) may() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.credit.has(1, time.Now()) {
		return false
	}
	l.credit.take(1)
	return true
}

// noteClosed remembers the waits that a commit closed. It lies on every signal's way:
// it allocates nothing, and rather than hold anybody up it forgets.
func (s *System) noteClosed(was *workflow.State, records []workflow.Record) {
	if was == nil {
		return
	}
	for i := range records {
		r := &records[i]
		how := workflow.Closing(r.Type)
		if how == "" {
			continue
		}
		w := was.Wait(r.Wait)
		if w == nil {
			continue
		}
		place := &s.closed[s.place(w.Name)]
		if place.mu.TryLock() {
			place.recentWait = recentWait{name: w.Name, execID: was.ExecID, wait: w.ID, how: how, at: r.At}
			place.mu.Unlock()
		}
	}
}

// lastClosed is the wait of a name that closed last, nil when none is known.
func (s *System) lastClosed(name string, at workflow.Instant) *workflow.NearMiss {
	if name == "" {
		return nil
	}
	place := &s.closed[s.place(name)]
	place.mu.Lock()
	known := place.recentWait
	place.mu.Unlock()
	if known.name != name {
		known = recentWait{name: name}
	}
	if s.looks.may() {
		s.lookForClosed(&known)
		place.mu.Lock()
		if place.name != name || place.at <= known.at {
			place.recentWait = known
		}
		place.mu.Unlock()
	}
	if known.execID == "" {
		return nil
	}
	return workflow.NearClosed(known.execID, known.wait, known.how, known.at, at)
}

// lookForClosed asks the store for a wait that closed later than the known one:
// of the executions that may have had one, those that changed last first.
func (s *System) lookForClosed(known *recentWait) {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	states := s.mayHaveClosed(ctx, known.name)
	slices.SortFunc(states, func(a, b *workflow.State) int { return cmp.Compare(b.UpdatedAt, a.UpdatedAt) })
	for _, state := range states[:min(len(states), NearHistories)] {
		if state.UpdatedAt <= known.at {
			return // nothing in it, or in those behind it, is later
		}
		if c := s.lastClosedIn(ctx, state, known.name); c != nil && c.At > known.at {
			known.execID, known.wait, known.how, known.at = state.ExecID, c.Wait, workflow.Closing(c.Type), c.At
		}
	}
}

// mayHaveClosed lists executions that may have had a wait of the name: of those
// that finished last, and of the newest of each workflow. What cannot be read is left out:
// the letter is as true without.
func (s *System) mayHaveClosed(ctx context.Context, name string) []*workflow.State {
	var states []*workflow.State
	take := func(state *workflow.State) {
		if def, err := s.Catalog.Version(state.Definition); err == nil && def.MayAwait(name) {
			states = append(states, state)
		}
	}
	finished, _ := s.Store.LastFinished(ctx, NearExecutions)
	for _, state := range finished {
		take(state)
	}
	waiters := s.Catalog.Waiters(name)
	for _, id := range waiters[:min(len(waiters), NearWorkflows)] {
		page, _ := s.Store.Executions(ctx, workflow.Query{WorkflowID: id, Limit: NearExecutions})
		for _, state := range page.Items {
			take(state)
		}
	}
	return states
}

// lastClosedIn is the record that closed the last wait of a name in the end of an
// execution's history, nil when there is none.
func (s *System) lastClosedIn(ctx context.Context, state *workflow.State, name string) *workflow.Record {
	records, err := s.Store.Records(ctx, state.ExecID, state.Seq-min(state.Seq, NearRecords), NearRecords)
	if err != nil {
		return nil
	}
	return workflow.LastClosed(name, records)
}

// closedOf is the wait of a finished execution that would have taken a refused
// message: the last one of its name.
func (s *System) closedOf(letter *workflow.DeadLetter) *workflow.NearMiss {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	snapshot, err := s.Store.Load(ctx, letter.ExecID)
	if err != nil {
		return nil // the letter is as true without
	}
	c := s.lastClosedIn(ctx, snapshot.State, letter.Name)
	if c == nil {
		return nil
	}
	return workflow.NearClosed(letter.ExecID, c.Wait, workflow.Closing(c.Type), c.At, letter.ReceivedAt)
}
