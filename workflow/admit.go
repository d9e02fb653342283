package workflow

import "fmt"

// Admit says whether an execution accepts a signal at all; nil means yes. What
// is refused here is never kept, and the sender is told why. It is asked before
// Advance, which ignores what it refuses.
func Admit(def *Definition, s *State, in Signalled) *Refusal {
	return admit(def, s, &in.Signal, max(in.At, s.UpdatedAt))
}

func admit(def *Definition, s *State, sig *Signal, at Instant) *Refusal {
	if s.Status.Finished() {
		return &Refusal{
			Code:    CodeFinished,
			Message: fmt.Sprintf("execution %s has finished with status %s at %s; it takes no signals", s.ExecID, s.Status, s.FinishedAt),
			Hint:    "start a new execution, or look at how this one ended",
			Details: map[string]any{"exec_id": s.ExecID, "status": s.Status},
		}
	}
	if !sig.Force && !def.MayAwait(sig.Name) {
		return neverAwaited(def, sig.Name)
	}
	if r := invalidPayload(def, s, sig); r != nil {
		return r
	}
	if r := full(s, sig); r != nil && !takenAtOnce(def, s, sig, at) {
		return r
	}
	return nil
}

func neverAwaited(def *Definition, name string) *Refusal {
	r := &Refusal{
		Code:    CodeNeverAwaited,
		Message: fmt.Sprintf("workflow %s has no wait for a signal named %q", def.ID, name),
		Details: map[string]any{"signal_name": name, "awaited": def.Awaits},
	}
	if near := Nearest(name, def.Awaits); near != "" {
		r.Details["did_you_mean"] = near
		r.Hint = fmt.Sprintf("did you mean %q? Send it with ?force=true to keep it all the same", near)
		return r
	}
	r.Hint = "send it with ?force=true to keep it all the same"
	if len(def.Awaits) == 0 {
		r.Message += "; it has no wait at all"
	}
	return r
}

// invalidPayload refuses a payload that breaks the schema of every open wait of
// that name: no wait that is open now can take it.
func invalidPayload(def *Definition, s *State, sig *Signal) *Refusal {
	var violations []Violation
	for i := range s.Waits {
		w := &s.Waits[i]
		if w.Name != sig.Name {
			continue
		}
		schema := def.HoldOf(w).Schema
		if schema == nil {
			return nil
		}
		found := schema.Check(object(sig.Payload))
		if len(found) == 0 {
			return nil
		}
		violations = append(violations, found...)
	}
	if violations == nil {
		return nil
	}
	return &Refusal{
		Code:       CodePayloadInvalid,
		Message:    fmt.Sprintf("the payload of signal %q violates the schema of the wait that is open for it", sig.Name),
		Hint:       "correct the payload at the pointers listed and send it again",
		Violations: violations,
	}
}

func full(s *State, sig *Signal) *Refusal {
	size := len(sig.Payload)
	for i := range s.Buffer {
		size += len(s.Buffer[i].Payload)
	}
	if len(s.Buffer) < MaxBuffered && size <= MaxBufferedBytes {
		return nil
	}
	return &Refusal{
		Code:       CodeBufferFull,
		Message:    fmt.Sprintf("execution %s keeps %d signals that no wait has taken yet, and takes no more; this one was not kept", s.ExecID, len(s.Buffer)),
		Hint:       fmt.Sprintf("send it again when a wait has taken some; the bounds are %d signals and %d bytes", MaxBuffered, MaxBufferedBytes),
		RetryAfter: bufferRetryAfter,
	}
}

// takenAtOnce reports whether an open wait takes the signal for certain, so that it is not
// kept: one that an execution waits for comes past those that nobody waits for.
func takenAtOnce(def *Definition, s *State, sig *Signal, at Instant) (takes bool) {
	if s.Paused {
		return false
	}
	t := &transition{pass: pass{def: def, s: s, at: at}}
	for i := range s.Waits {
		w := &s.Waits[i]
		if w.Name != sig.Name {
			continue
		}
		hold := def.HoldOf(w)
		if hold.Processor != nil {
			return false // who knows what it makes of it
		}
		takes = takes || unfit(hold, w, sig) == "" && t.rule(w, sig, nil, false).takes()
	}
	return takes
}
