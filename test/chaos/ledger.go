package chaos

import (
	"fmt"
	"sync"
	"time"
)

// Answer is what a client was told about a signal or an event.
type Answer struct {
	Outcome   string // delivered or buffered; "" for an event
	Wait      string // id of the wait that took it
	Duplicate bool
}

// Sent is one line of the ledger: a message, and everything a client was told about it.
type Sent struct {
	ID      string
	Exec    string // that a signal was sent to; "" for an event
	Client  int
	N       int // place in the order in which the client sent to that execution
	Unknown int // attempts that nobody answered
	Answers []Answer
}

// acknowledged reports whether some attempt was answered with a success.
func (s *Sent) acknowledged() bool { return len(s.Answers) > 0 }

// Ledger is what the clients know. It is safe for use by many goroutines.
type Ledger struct {
	mu      sync.Mutex
	signals map[string]*Sent
	events  map[string]*Sent
	starts  map[string]bool // execution ids; true when the start was acknowledged
	refused []string        // answers that no correct node gives
	away    int             // attempts turned away with nothing kept
	failed  []time.Time     // beginnings of the attempts that were turned away or not answered

	// Resends says that nodes pass requests on, and again when one of them goes:
	// then the first answer that a client hears may say "duplicate" of what an
	// attempt inside of the cluster did.
	Resends bool
}

// NewLedger returns an empty ledger.
func NewLedger() *Ledger {
	return &Ledger{signals: map[string]*Sent{}, events: map[string]*Sent{}, starts: map[string]bool{}}
}

// Signal writes down that a signal is about to be sent for the first time.
func (l *Ledger) Signal(s Sent) *Sent { return l.add(l.signals, s) }

// Event writes down that an event is about to be sent for the first time.
func (l *Ledger) Event(s Sent) *Sent { return l.add(l.events, s) }

func (l *Ledger) add(to map[string]*Sent, s Sent) *Sent {
	l.mu.Lock()
	defer l.mu.Unlock()
	to[s.ID] = &s
	return &s
}

// Answered writes down a success.
func (l *Ledger) Answered(s *Sent, a Answer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s.Answers = append(s.Answers, a)
}

// Unknown writes down that an attempt ended without an answer.
func (l *Ledger) Unknown(s *Sent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s.Unknown++
}

// TurnedAway counts an attempt that was answered with "nothing was kept".
func (l *Ledger) TurnedAway() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.away++
}

// Failed writes down that an attempt that began then was not answered well.
func (l *Ledger) Failed(began time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed = append(l.failed, began)
}

// failures counts the attempts that began after a moment and were not answered well.
func (l *Ledger) failures(since time.Time) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, began := range l.failed {
		if began.After(since) {
			n++
		}
	}
	return n
}

// Started writes down a start, acknowledged or only tried.
func (l *Ledger) Started(execID string, acknowledged bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.starts[execID] = l.starts[execID] || acknowledged
}

// Refused writes down an answer that no correct node gives to what was asked.
func (l *Ledger) Refused(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refused = append(l.refused, fmt.Sprintf(format, args...))
}

// Executions lists the ids that were acknowledged as started.
func (l *Ledger) Executions() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var ids []string
	for id, acknowledged := range l.starts {
		if acknowledged {
			ids = append(ids, id)
		}
	}
	return ids
}

// Awaited counts, for each execution, the acknowledged signals that its history
// must show as consumed before it has settled.
func (l *Ledger) Awaited() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := map[string]int{}
	for _, s := range l.signals {
		if s.acknowledged() {
			n[s.Exec]++
		}
	}
	return n
}
