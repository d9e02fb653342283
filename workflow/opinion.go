package workflow

import "slices"

// Opinion is what one open wait makes of a signal, before anything happens.
type Opinion struct {
	Signal    string // id of the signal
	Wait      string // id of the wait
	Task      string
	Branch    string
	Takes     bool   // the signal is consumed, or the wait's processor works on it first
	Processor string // task that has to work on the signal before it is known
	Vetoes    bool   // it takes the signal, which ends the wait badly
	Busy      bool   // it works on another signal, and judges this one afterwards
	Behind    string // an older wait takes the signal, so that this one is not asked; never of an event
	Reason    string // why it does not take it, with the values that decided; "" when it does
	Condition string // with the values of signal and context filled in; "" for none
}

// Opinions asks every open wait of the signal's name, in the order in which they
// are asked, what it makes of the signal at that moment. It changes nothing.
// Timers that are due come first, as they would.
func Opinions(def *Definition, s *State, in Signalled) ([]Opinion, error) {
	now, err := s.at(def, in.At)
	if err != nil || now.Status.Finished() || now.Paused {
		return nil, err
	}
	t := &transition{pass: pass{def: def, s: &now, at: max(in.At, now.UpdatedAt)}}
	if in.OnlyIfMatched && !in.Signal.once() {
		return t.everyOpinion(in.Signal), nil
	}
	sig := in.Signal
	var all []Opinion
	taker := ""
	for i := range t.s.Waits {
		w := &t.s.Waits[i]
		if w.Name != sig.Name {
			continue
		}
		o := t.opinion(w, sig)
		if taker != "" {
			o.Takes, o.Vetoes, o.Processor, o.Behind = false, false, "", taker
			o.Reason = "wait " + taker + " is asked first and takes it"
		} else if o.Takes {
			taker = w.ID
		}
		all = append(all, o)
	}
	return all, nil
}

// everyOpinion is what the waits make of an event. Each of them is asked, and
// meets what those before it have made of the event, so that happens on a copy.
func (t *transition) everyOpinion(sig Signal) []Opinion {
	t.s = t.s.clone(nil)
	var all []Opinion
	for i := range t.s.Waits {
		if w := &t.s.Waits[i]; w.Name == sig.Name {
			all = append(all, Opinion{Signal: sig.ID, Wait: w.ID, Task: w.Task, Branch: w.Branch})
		}
	}
	of := func(wait string) *Opinion {
		return &all[slices.IndexFunc(all, func(o Opinion) bool { return o.Wait == wait })]
	}
	t.s.Buffer = slices.DeleteFunc(t.s.Buffer, func(b Buffered) bool { return b.ID == sig.ID })
	t.s.Buffer = append(t.s.Buffer, Buffered{Signal: sig, Transient: true})
	t.reach(sig.ID, func(w *OpenWait) { *of(w.ID) = t.opinion(w, sig) })
	for i := range t.records {
		r := &t.records[i]
		if r.Type != SignalJudged || r.Signal != sig.ID {
			continue
		}
		if o := of(r.Wait); !o.Takes && o.Reason == "" {
			o.Reason = r.Reason // it was not asked
		}
	}
	return all
}

// at is the state when the timers that are due by then have fired.
func (s *State) at(def *Definition, at Instant) (State, error) {
	now := *s
	for _, due := range s.Overdue(at) {
		next, _, _, err := Advance(def, now, due)
		if err != nil {
			return now, err
		}
		now = next
	}
	return now, nil
}

// opinion judges as judge does, and leaves everything as it is.
func (t *transition) opinion(w *OpenWait, sig Signal) Opinion {
	task := t.def.Task(w.Task)
	hold := task.Wait.hold(w.Branch)
	o := Opinion{Signal: sig.ID, Wait: w.ID, Task: w.Task, Branch: w.Branch}
	if hold.Condition != nil {
		scope := t.scope(task, t.s.Task(w.Task))
		scope.Signal, scope.Gathered, scope.Branch = t.envelope(&sig), t.s.Task(w.Task).Gathered, w.Branch
		o.Condition = explain(hold.Condition, scope)
	}
	if w.Judging != "" {
		o.Busy, o.Reason = true, occupied(w)
		return o
	}
	if o.Reason = uncorrelated(hold, w, &sig); o.Reason != "" {
		return o
	}
	if o.Reason = broken(hold, sig.Payload); o.Reason != "" {
		return o
	}
	if hold.Processor != nil {
		o.Takes, o.Processor = true, hold.Processor.ID
		return o
	}
	r := t.rule(w, &sig, nil, false)
	if o.Takes, o.Vetoes = r.takes(), r.vetoes; !o.Takes {
		o.Reason = r.refused
	}
	return o
}

// explain is a condition in one line with the values that the scope has.
func explain(c Condition, scope *Scope) string {
	if e, ok := c.(Explainer); ok {
		return e.Explain(scope)
	}
	return c.Source()
}
