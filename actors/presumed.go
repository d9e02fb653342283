package actors

import "slices"

// broke ends a turn that was broken by the execution's own code, or by state and
// definition that disagree: the execution is quarantined. One that was only
// presumed to be new may be there already, of another workflow, and not ill at
// all: the turn is taken again once the store has been asked.
func (e *execution) broke(f *fold, batch []*Deliver, cause, stack string) {
	if !e.presumed || f == nil || f.sent {
		f.abandon(batch, e.quarantine(cause, stack))
		return
	}
	e.system.Logger.Warn("an execution broke that was taken for new; the store is asked and the turn taken again", "exec_id", e.id, "cause", cause)
	for _, d := range batch {
		d.Fresh = false
		d.reroutes++
	}
	e.drop(nil)
	e.doubted = true
	e.queue = append(slices.Clone(batch), e.queue...)
	e.wantTurn()
}

// room is how many commits may be on their way when a turn begins: none when the
// store must show what came of them first.
func (e *execution) room() int32 {
	if e.doubted {
		return 1
	}
	return MaxFlights
}
