package workflow

import (
	"encoding/json"
	"slices"
)

// FollowInto folds records into the receipts of the signals that they speak of.
// arrived is the signal whose acceptance is among the records, if any; known
// finds the receipt of an earlier one. The receipts that changed come back
// whole, in the order in which they first changed, in room that is there already
// where it is enough.
func FollowInto(room []Receipt, s *State, records []Record, arrived *Signal, known func(signalID string) *Receipt) []Receipt {
	changed := room[:0]
	find := func(id string) *Receipt {
		for i := range changed {
			if changed[i].SignalID == id {
				return &changed[i]
			}
		}
		r := known(id)
		if r == nil {
			return nil
		}
		changed = append(changed, *r)
		return &changed[len(changed)-1]
	}
	for i := range records {
		rec := &records[i]
		if rec.Signal == "" {
			continue
		}
		if rec.Type == (Signalled{}).Kind() {
			if arrived.Redelivered {
				if r := find(rec.Signal); r != nil {
					r.reopen(rec, arrived)
					continue
				}
			}
			changed = append(changed, accepted(s, arrived, rec))
			continue
		}
		if r := find(rec.Signal); r != nil {
			r.follow(rec)
		}
	}
	for i := range changed {
		r := &changed[i]
		if r.Source == FromEvent {
			r.decide(s)
		}
		if r.Answer.Outcome == "" {
			r.answer(s)
		}
	}
	return changed
}

// decide makes the fate of an event at an execution final when every wait that was
// asked about it has decided, and not with the first one that takes it.
func (r *Receipt) decide(s *State) {
	switch {
	case slices.ContainsFunc(s.Buffer, func(b Buffered) bool { return b.ID == r.SignalID }):
		r.Fate = FateBuffered
	case !r.Fate.Final() && slices.ContainsFunc(r.Steps, func(s Step) bool { return s.What == "consumed" }):
		r.Fate = FateConsumed
	}
}

// accepted opens the receipt of a signal that has just come.
func accepted(s *State, sig *Signal, rec *Record) Receipt {
	step := Step{At: rec.At, What: "accepted", Record: rec.Seq}
	from := sig.From
	if sig.Redelivered {
		step.Reason = "redelivered: it had been refused before, and was a dead letter"
		step.By, step.From, from = sig.RedeliveredBy, sig.From, ""
	}
	return Receipt{
		SignalID: sig.ID, ExecID: s.ExecID, Name: sig.Name, Digest: sig.Digest(), By: sig.By, Source: sig.Source,
		From: from, RequestID: sig.RequestID,
		Fate: FateBuffered, At: rec.At, Steps: append(make([]Step, 0, 2), step),
		Answer: Answer{SignalID: sig.ID, ExpiresAt: sig.ExpiresAt},
	}
}

// reopen takes up a signal again that was a dead letter.
func (r *Receipt) reopen(rec *Record, sig *Signal) {
	r.Fate = FateBuffered
	r.step(Step{At: rec.At, What: "redelivered", Record: rec.Seq, By: sig.RedeliveredBy, From: sig.From})
}

// follow adds one step of the signal's biography.
func (r *Receipt) follow(rec *Record) {
	step := Step{At: rec.At, Wait: rec.Wait, Record: rec.Seq, Reason: rec.Reason}
	switch rec.Type {
	case SignalBuffered:
		step.What = "buffered"
	case SignalJudged:
		step.What = "judged"
	case SignalConsumed:
		if rec.Data != nil {
			var held judged
			_ = json.Unmarshal(rec.Data, &held) // consumed wrote it
			r.step(Step{At: rec.At, What: "judged", Wait: rec.Wait, Record: rec.Seq, Reason: held.Grounds})
		}
		step.What, r.Fate = "consumed", FateConsumed
	case SignalExpired:
		step.What, r.Fate = "expired", FateExpired
	case SignalDead:
		step.What, r.Fate = "dead", FateDead
	default:
		return
	}
	r.step(step)
}

func (r *Receipt) step(step Step) {
	if len(r.Steps) >= MaxReceiptSteps {
		drop := r.spare()
		r.Steps = slices.Delete(r.Steps, drop, drop+1)
	}
	r.Steps = append(r.Steps, step)
}

// spare is the step of a long biography that is missed least: the first steps and
// the latest are worth more than those between, and who took an event more than
// what others made of it.
func (r *Receipt) spare() int {
	const middle = MaxReceiptSteps / 2
	for _, from := range [...]int{middle, 1} {
		if i := slices.IndexFunc(r.Steps[from:], func(s Step) bool { return s.What != "consumed" }); i >= 0 {
			return from + i
		}
	}
	return middle
}

// answer is what the sender is told, made from what has happened so far.
func (r *Receipt) answer(s *State) {
	r.Answer = answerOf(Answer{SignalID: r.SignalID, ExpiresAt: r.Answer.ExpiresAt}, r.Steps, s)
}

// Redelivered is what whoever sent a dead letter on its way again is told: what
// has happened since. The receipt's own answer stays the first one.
func (r *Receipt) Redelivered(sig *Signal, s *State) Answer {
	since := r.Steps
	for i := range r.Steps {
		if r.Steps[i].What == "redelivered" {
			since = r.Steps[i:]
		}
	}
	return answerOf(Answer{SignalID: r.SignalID, ExpiresAt: sig.ExpiresAt}, since, s)
}

func answerOf(a Answer, steps []Step, s *State) Answer {
	a.Status = s.Status
	a.Outcome = KeptForWait
	for _, step := range steps {
		switch step.What {
		case "consumed":
			if a.WaitID != "" {
				continue // an event that another wait took before
			}
			a.Outcome, a.WaitID = Delivered, step.Wait
			a.Reason, a.ExpiresAt = step.Reason, 0
		case "buffered", "dead", "expired":
			a.Reason = step.Reason
		}
	}
	if a.WaitID != "" {
		a.WaitTask = waitTask(a.WaitID)
	}
	return a
}

// waitTask is the task of a wait's id, task/run.
func waitTask(id string) string {
	for i := len(id) - 1; i >= 0; i-- {
		if id[i] == '/' {
			return id[:i]
		}
	}
	return id
}
