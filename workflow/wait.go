package workflow

// WaitSpec is what a wait task holds for: one Hold, or several named ones.
type WaitSpec struct {
	Hold                // of a wait without branches
	Branches []*Branch  // nil for a wait that holds for one thing
	Need     Template   // how many of the branches must be satisfied; nil: all of them
	Deadline Template   // duration text or RFC 3339 time, instead of the task's Timeout; nil for none
	Extend   *Extension // nil: nothing moves the deadline but a person
	Remind   []Reminder // in the order listed
}

// Hold is what one open wait takes.
type Hold struct {
	Name      Template    // the signal's name
	Correlate Template    // the correlation_id that a message must have; nil for any
	Condition Condition   // nil: every signal of that name
	Index     Correlation // the equality of the condition that finds it among others; nil for none
	Schema    Schema      // nil: any payload
	Quorum    *Quorum     // nil: the first signal that it takes satisfies it
	Processor *Task       // nil: none; a Basic task that runs on each signal before the condition is judged
}

// Branch is one of the things that a wait holds for at once. Each opens a wait
// of its own, task/run.branch.
type Branch struct {
	ID string
	Hold
	Timeout  Template // duration text; nil: the whole wait's deadline
	Deadline Template // duration text or RFC 3339 time
}

// hold finds what an open wait of the task takes.
func (w *WaitSpec) hold(branch string) *Hold {
	if branch == ExtendBranch {
		return &w.Extend.Hold
	}
	for _, b := range w.Branches {
		if b.ID == branch {
			return &b.Hold
		}
	}
	return &w.Hold
}

// gathers reports whether the wait keeps what came so far.
func (w *WaitSpec) gathers() bool { return w.Branches != nil || w.Quorum != nil || w.Extend != nil }

// HoldOf is what an open wait takes: its schema, its condition and how many
// signals satisfy it. It is nil for a wait that the definition does not have.
func (d *Definition) HoldOf(w *OpenWait) *Hold {
	task := d.Task(w.Task)
	if task == nil || task.Wait == nil {
		return nil
	}
	return task.Wait.hold(w.Branch)
}
