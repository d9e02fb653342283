package workflow

import "slices"

// once reports whether an event is for the first wait that takes it: it was kept
// for that. Any other is for everybody who listens.
func (s *Signal) once() bool { return s.ExpiresAt != 0 }

// reach gives an event to every wait that is open for it, oldest first; only one
// that is for the first who takes it goes no further then. A wait is asked when all
// has happened that follows from the one before, and not when that has closed it.
// before is called with each wait that is about to be asked; nil for nobody.
func (t *transition) reach(id string, before func(*OpenWait)) {
	t.reaching, t.said = id, false
	name, once := t.kept(id).Name, t.kept(id).once()
	for i := range t.s.Waits {
		if w := &t.s.Waits[i]; w.Name == name {
			t.unasked = append(t.unasked, w.ID)
		}
	}
	for len(t.unasked) > 0 {
		w := t.s.Wait(t.unasked[0])
		t.unasked = t.unasked[1:]
		if before != nil {
			before(w)
		}
		if t.offer(w, t.kept(id)) && once {
			t.unasked = nil
		}
	}
	t.reaching = ""
	t.rest(id)
}

// miss says of a wait that closes why it was not asked about the event under way.
func (t *transition) miss(w *OpenWait, why string) {
	if i := slices.Index(t.unasked, w.ID); i >= 0 {
		t.unasked = slices.Delete(t.unasked, i, i+1)
		t.record(Record{Type: SignalJudged, Task: w.Task, Wait: w.ID, Signal: t.reaching, Reason: "it closed before it was asked: " + why})
	}
}

// rest lets go of an event that everybody has been asked about, when no processor
// works on it any more. One for the first that takes it, which had come so far, is
// also judged by those whose processor was busy.
func (t *transition) rest(id string) {
	b := t.kept(id)
	if b == nil || !b.Transient || id == t.reaching || len(b.Busy) > 0 && !b.Taken && !t.judging(id) {
		return
	}
	reason := ""
	if b.Taken {
		reason = "it was taken"
	}
	working := false
	for i := range t.s.Waits {
		if w := &t.s.Waits[i]; w.Judging == id {
			working, reason = true, joined(reason, processing(w))
		}
	}
	if working {
		b.Reason = reason
		return
	}
	taken := b.Taken
	t.forget(id)
	t.remember(id)
	if !taken {
		t.record(Record{Type: SignalDead, Signal: id, Reason: "an event that no wait took is not kept"})
	}
}

// Reached is what one wait made of an event.
type Reached struct {
	Wait   string `json:"wait"`
	Took   bool   `json:"took,omitempty"`   // it consumed it
	Open   bool   `json:"open,omitempty"`   // it has yet to decide
	Reason string `json:"reason,omitempty"` // why it did not take it, or has yet to decide
}

// Reached lists what the waits of an execution made of an event, in the order in
// which they were asked. s is how the execution stands; where that is nil, those
// that have yet to decide are missing.
func (r *Receipt) Reached(s *State) []Reached {
	all := make([]Reached, 0, 1)
	for i := range r.Steps {
		switch step := &r.Steps[i]; step.What {
		case "judged":
			all = putReached(all, Reached{Wait: step.Wait, Reason: step.Reason})
		case "consumed":
			all = putReached(all, Reached{Wait: step.Wait, Took: true})
		}
	}
	if s == nil {
		return all
	}
	i := slices.IndexFunc(s.Buffer, func(b Buffered) bool { return b.ID == r.SignalID })
	if i < 0 {
		return all
	}
	working := slices.ContainsFunc(s.Waits, func(w OpenWait) bool { return w.Judging == r.SignalID })
	for j := range s.Waits {
		switch w := &s.Waits[j]; {
		case w.Judging == r.SignalID:
			all = putReached(all, Reached{Wait: w.ID, Open: true, Reason: processing(w)})
		case !working && w.Name == r.Name && !slices.ContainsFunc(all, func(o Reached) bool { return o.Wait == w.ID }):
			// It came during a pause, or its processor works on another one first.
			all = putReached(all, Reached{Wait: w.ID, Open: true, Reason: s.Buffer[i].Reason})
		}
	}
	return all
}

// putReached adds what a wait said last.
func putReached(all []Reached, one Reached) []Reached {
	if i := slices.IndexFunc(all, func(o Reached) bool { return o.Wait == one.Wait }); i >= 0 {
		all[i] = one
		return all
	}
	return append(all, one)
}
