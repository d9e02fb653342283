package workflow

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
)

// Bury makes the dead letters of the signals that died in a transition. It needs
// the state before, which still keeps them, the signal that the transition's
// input brought, if any, and the receipts that FollowInto made of its records. An
// event's delivery leaves none: the event has a receipt of its own.
func Bury(was, now *State, arrived *Signal, receipts []Receipt) []DeadLetter {
	var dead []DeadLetter
	for i := range receipts {
		r := &receipts[i]
		if r.Fate != FateDead && r.Fate != FateExpired || r.Was == r.Fate || r.Source == FromEvent {
			continue
		}
		sig, near := arrived, (*NearMiss)(nil)
		if sig == nil || sig.ID != r.SignalID {
			at := slices.IndexFunc(was.Buffer, func(b Buffered) bool { return b.ID == r.SignalID })
			if at < 0 {
				continue // the state forgot it; its receipt still says what happened
			}
			b := &was.Buffer[at]
			sig, near = &b.Signal, &NearMiss{ExecID: now.ExecID, Wait: judgedBy(was, b), Reason: b.Reason}
		}
		cause := CauseFinished
		if r.Fate == FateExpired {
			cause = CauseExpired
		}
		last := r.Steps[len(r.Steps)-1]
		l := LetterOfSignal(sig, now.WorkflowID, cause, last.Reason, last.At)
		l.ExecID, l.Accepted, l.Near = now.ExecID, true, near
		l.ID = LetterID(KindSignal, l.ExecID, l.MessageID)
		dead = append(dead, l)
	}
	return dead
}

// judgedBy is the open wait that refused a kept signal last, or whose processor
// works on it; "" when there is none.
func judgedBy(s *State, b *Buffered) string {
	for i := range s.Waits {
		if w := &s.Waits[i]; w.LastJudged == b.ID || w.Judging == b.ID {
			return w.ID
		}
	}
	return ""
}

// LetterOfRefusal is the dead letter of a signal that an execution refused; s is
// nil when there is none.
func LetterOfRefusal(s *State, sig Signal, r *Refusal, at Instant) DeadLetter {
	var workflowID string
	if s != nil {
		workflowID = s.WorkflowID
	}
	l := LetterOfSignal(&sig, workflowID, Cause(r.Code), r.Message, at)
	switch {
	case len(r.Violations) > 0 && s != nil:
		v := r.Violations[0]
		l.Near = &NearMiss{ExecID: s.ExecID, Reason: fmt.Sprintf("its schema is violated at %q: %s", v.Pointer, v.Message)}
		if i := slices.IndexFunc(s.Waits, func(w OpenWait) bool { return w.Name == sig.Name }); i >= 0 {
			l.Near.Wait = s.Waits[i].ID
		}
	default:
		if near, ok := r.Details["did_you_mean"].(string); ok {
			l.Near = NearName(near, sig.Name)
		}
	}
	return l
}

// NearName is a near miss of a name.
func NearName(near, name string) *NearMiss {
	return &NearMiss{Name: near, Reason: fmt.Sprintf("it is named %q, and there is %q", name, near)}
}

// NearClosed is a near miss of a wait that was open until shortly before.
func NearClosed(execID, waitID, how string, closed, at Instant) *NearMiss {
	return &NearMiss{ExecID: execID, Wait: waitID, Closed: closed,
		Reason: fmt.Sprintf("wait %s was %s %s earlier", waitID, how, (at - closed).duration())}
}

// Closing says in one word how a record of that type closed a wait, "" when it does not.
func Closing(recordType string) string {
	switch recordType {
	case WaitSatisfied:
		return "satisfied"
	case WaitTimedOut:
		return "timed out"
	case WaitVetoed:
		return "vetoed"
	case WaitClosed:
		return "closed"
	}
	return ""
}

// LastClosed is the record, among the last ones of an execution, that closed the
// last wait of a name; nil when there is none.
func LastClosed(name string, records []Record) *Record {
	var last *Record
	waits := map[string]bool{}
	for i := range records {
		switch r := &records[i]; {
		case r.Type == WaitOpened:
			var data opened
			waits[r.Wait] = json.Unmarshal(r.Data, &data) == nil && data.Name == name
		case Closing(r.Type) != "" && waits[r.Wait]:
			last = r
		}
	}
	return last
}

// Missed says why the open waits of an execution do not take a message: by its
// schema, or by its condition with the values that decided. Nil when no wait of
// that name is open.
func Missed(def *Definition, s *State, sig Signal) *NearMiss {
	t := &transition{pass: pass{def: def, s: s.clone(nil), at: max(sig.ReceivedAt, s.UpdatedAt)}}
	for i := range t.s.Waits {
		w := &t.s.Waits[i]
		if w.Name != sig.Name {
			continue
		}
		hold := def.HoldOf(w)
		reason := uncorrelated(hold, w, &sig)
		if reason == "" {
			reason = broken(hold, sig.Payload)
		}
		if reason == "" {
			reason = t.rule(w, &sig, nil, false).refused
		}
		if reason == "" {
			continue
		}
		return &NearMiss{ExecID: s.ExecID, Wait: w.ID, Reason: "wait " + w.ID + " is open for " + strconv.Quote(sig.Name) + ", and " + reason}
	}
	return nil
}
