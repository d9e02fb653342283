package workflow

import "slices"

// Follow folds records into the receipts of the signals that they speak of.
// arrived is the signal whose acceptance is among the records, if any; known
// finds the receipt of an earlier one. The receipts that changed come back
// whole, in the order in which they first changed.
func Follow(s *State, records []Record, arrived *Signal, known func(signalID string) *Receipt) []Receipt {
	var changed []*Receipt
	find := func(id string) *Receipt {
		if i := slices.IndexFunc(changed, func(r *Receipt) bool { return r.SignalID == id }); i >= 0 {
			return changed[i]
		}
		r := known(id)
		if r != nil {
			changed = append(changed, r)
		}
		return r
	}
	for _, rec := range records {
		if rec.Signal == "" {
			continue
		}
		if rec.Type == (Signalled{}).Kind() {
			changed = append(changed, accepted(s, arrived, rec))
			continue
		}
		if r := find(rec.Signal); r != nil {
			r.follow(rec)
		}
	}
	receipts := make([]Receipt, len(changed))
	for i, r := range changed {
		if r.Answer.Outcome == "" {
			r.answer(s)
		}
		receipts[i] = *r
	}
	return receipts
}

// accepted opens the receipt of a signal that has just come.
func accepted(s *State, sig *Signal, rec Record) *Receipt {
	return &Receipt{
		SignalID: sig.ID, ExecID: s.ExecID, Name: sig.Name, Digest: sig.Digest(), By: sig.By, Source: sig.Source,
		Fate: FateBuffered, At: rec.At, Steps: []Step{{At: rec.At, What: "accepted", Record: rec.Seq}},
		Answer: Answer{SignalID: sig.ID, ExpiresAt: sig.ExpiresAt},
	}
}

// follow adds one step of the signal's biography.
func (r *Receipt) follow(rec Record) {
	step := Step{At: rec.At, Wait: rec.Wait, Record: rec.Seq, Reason: rec.Reason}
	switch rec.Type {
	case SignalBuffered:
		step.What = "buffered"
	case SignalJudged:
		step.What = "judged"
	case SignalConsumed:
		step.What, r.Fate = "consumed", FateConsumed
	case SignalExpired:
		step.What, r.Fate = "expired", FateExpired
	case SignalDead:
		step.What, r.Fate = "dead", FateDead
	default:
		return
	}
	if len(r.Steps) >= MaxReceiptSteps {
		// The first steps and the latest are worth more than those between.
		r.Steps = slices.Delete(r.Steps, MaxReceiptSteps/2, MaxReceiptSteps/2+1)
	}
	r.Steps = append(r.Steps, step)
}

// answer is what the sender is told, made from what has happened so far.
func (r *Receipt) answer(s *State) {
	r.Answer.Status = s.Status
	r.Answer.Outcome = KeptForWait
	for _, step := range r.Steps {
		switch step.What {
		case "consumed":
			r.Answer.Outcome, r.Answer.WaitID = Delivered, step.Wait
			r.Answer.Reason, r.Answer.ExpiresAt = step.Reason, 0
		case "buffered", "dead", "expired":
			r.Answer.Reason = step.Reason
		}
	}
	if r.Answer.WaitID != "" {
		r.Answer.WaitTask = waitTask(r.Answer.WaitID)
	}
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
