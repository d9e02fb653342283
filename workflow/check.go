package workflow

import (
	"fmt"
	"slices"
)

// Check states what holds of every state between two inputs. It runs before
// every commit and after every load: a state that breaks it is never written,
// and one that was written is never acted upon.
func Check(s *State) error {
	for _, check := range []func(*State) error{checkIdentity, checkFinished, checkWaits, checkTimers, checkTasks, checkBuffer} {
		if err := check(s); err != nil {
			return fmt.Errorf("execution %s, version %d: %w", s.ExecID, s.Version, err)
		}
	}
	return nil
}

func checkIdentity(s *State) error {
	switch {
	case s.ExecID == "" || s.WorkflowID == "" || s.Definition == "":
		return fmt.Errorf("it lacks its id, workflow or definition")
	case s.Version == 0 || s.Seq < s.Version:
		return fmt.Errorf("%d records cannot tell of %d inputs", s.Seq, s.Version)
	case !slices.Contains(Statuses, s.Status):
		return fmt.Errorf("status %q is no status of an execution", s.Status)
	case s.Paused != (s.Status == Paused):
		return fmt.Errorf("status %s and paused=%t contradict each other", s.Status, s.Paused)
	case s.Unique && s.Key == "":
		return fmt.Errorf("its key is unique and it has none")
	case s.UpdatedAt < s.CreatedAt:
		return fmt.Errorf("it was updated before it was created")
	}
	return nil
}

func checkFinished(s *State) error {
	if !s.Status.Finished() {
		if s.FinishedAt != 0 {
			return fmt.Errorf("it finished at %s but is %s", s.FinishedAt, s.Status)
		}
		return nil
	}
	if s.FinishedAt == 0 {
		return fmt.Errorf("it is %s without a time", s.Status)
	}
	if len(s.Waits)+len(s.Timers)+len(s.Buffer)+len(s.Held) > 0 {
		return fmt.Errorf("it is %s and still has %d waits, %d timers, %d signals, %d results",
			s.Status, len(s.Waits), len(s.Timers), len(s.Buffer), len(s.Held))
	}
	for i := range s.Tasks {
		if !s.Tasks[i].Status.Finished() {
			return fmt.Errorf("it is %s and its task %q is %s", s.Status, s.Tasks[i].ID, s.Tasks[i].Status)
		}
	}
	return nil
}

func checkWaits(s *State) error {
	for i := range s.Waits {
		w := &s.Waits[i]
		if ts := s.Task(w.Task); ts == nil || ts.Status != Waiting {
			return fmt.Errorf("wait %s is open without its task", w.ID)
		}
		if slices.ContainsFunc(s.Waits[:i], func(o OpenWait) bool { return o.ID == w.ID }) {
			return fmt.Errorf("wait %s is open twice", w.ID)
		}
		if w.Deadline != 0 && !armed(s, string(TimerDeadline)+":"+w.ID, w.Deadline) {
			return fmt.Errorf("wait %s has a deadline without a timer", w.ID)
		}
		if w.Judging != "" && !slices.ContainsFunc(s.Buffer, func(b Buffered) bool { return b.ID == w.Judging }) {
			return fmt.Errorf("wait %s judges signal %s, which is not kept", w.ID, w.Judging)
		}
	}
	for i := range s.Tasks {
		if err := checkWaiting(s, &s.Tasks[i]); err != nil {
			return err
		}
	}
	return nil
}

// checkWaiting holds a task to its open waits, and what they have collected to
// what they say that they have.
func checkWaiting(s *State, ts *TaskState) error {
	open := 0
	for i := range s.Waits {
		w := &s.Waits[i]
		if w.Task != ts.ID {
			continue
		}
		if w.Branch != ExtendBranch {
			open++
		}
		if !isWaitID(w.ID, ts.ID, ts.Run, w.Branch) {
			return fmt.Errorf("wait %s is not of run %d of task %q", w.ID, ts.Run, ts.ID)
		}
		if (w.Branch != "" || w.Have != 0) && ts.Gathered == nil {
			return fmt.Errorf("wait %s has collected %s and its task %q nothing", w.ID, w.Have, ts.ID)
		}
	}
	switch g := ts.Gathered; {
	case ts.Status != Waiting && g != nil:
		return fmt.Errorf("task %q is %s and still gathers", ts.ID, ts.Status)
	case ts.Status != Waiting:
		return nil
	case g != nil:
		return checkGathering(s, ts, open)
	case open != 1:
		return fmt.Errorf("task %q waits and %d waits of it are open", ts.ID, open)
	}
	return nil
}

func checkGathering(s *State, ts *TaskState, open int) error {
	g := ts.Gathered
	switch {
	case open == 0 || len(g.Satisfied)+open < g.Need || g.Need == 0 && open != 1:
		return fmt.Errorf("task %q waits for %d branches, has %d, and %d waits of it are open", ts.ID, g.Need, len(g.Satisfied), open)
	case g.Need > 0 && len(g.Satisfied) >= g.Need:
		return fmt.Errorf("task %q has the %d branches that it needs and still waits", ts.ID, g.Need)
	case g.Extended > MaxExtensions:
		return fmt.Errorf("the deadline of task %q was extended %d times, more than %d", ts.ID, g.Extended, MaxExtensions)
	case len(g.Collected) > MaxCollected:
		return fmt.Errorf("task %q has collected %d signals, more than %d", ts.ID, len(g.Collected), MaxCollected)
	}
	have := make(map[string]Weight)
	for i, c := range g.Collected {
		if slices.ContainsFunc(g.Collected[:i], func(o Collected) bool { return o.Signal == c.Signal && o.Branch == c.Branch }) {
			return fmt.Errorf("task %q counts signal %s twice", ts.ID, c.Signal)
		}
		if slices.ContainsFunc(s.Buffer, func(b Buffered) bool { return b.ID == c.Signal && !b.Taken }) {
			return fmt.Errorf("task %q counts signal %s, which is still kept", ts.ID, c.Signal)
		}
		have[c.Branch] += c.Weight
	}
	for i := range s.Waits {
		w := &s.Waits[i]
		switch {
		case w.Task != ts.ID:
		case w.Have != have[w.Branch]:
			return fmt.Errorf("wait %s says that it has %s and has collected %s", w.ID, w.Have, have[w.Branch])
		case slices.Contains(g.Satisfied, w.Branch):
			return fmt.Errorf("wait %s is open and its branch satisfied", w.ID)
		case w.Need > 0 && w.Have >= w.Need:
			return fmt.Errorf("wait %s has the %s that it needs and is still open", w.ID, w.Need)
		}
	}
	return nil
}

func armed(s *State, id string, due Instant) bool {
	return slices.ContainsFunc(s.Timers, func(t Timer) bool { return t.ID == id && t.Due == due })
}

func checkTimers(s *State) error {
	for i, t := range s.Timers {
		if slices.ContainsFunc(s.Timers[:i], func(o Timer) bool { return o.ID == t.ID }) {
			return fmt.Errorf("timer %s is armed twice", t.ID)
		}
		ok := false
		switch t.Kind {
		case TimerDeadline:
			w := s.Wait(t.Of)
			ok = w != nil && w.Deadline == t.Due
		case TimerRetry, TimerSleep:
			ts := s.Task(t.Of)
			ok = ts != nil && ts.Status == Pending
		case TimerRemind:
			id, rung := rungOf(t.Of)
			ts := s.Task(id)
			ok = ts != nil && ts.Status == Waiting && t.Of == rungID(id, ts.Run, rung)
		case TimerExpiry:
			ok = slices.ContainsFunc(s.Buffer, func(b Buffered) bool { return b.ID == t.Of && b.ExpiresAt == t.Due })
		}
		if !ok {
			return fmt.Errorf("timer %s is armed for nothing", t.ID)
		}
	}
	return nil
}

func checkTasks(s *State) error {
	for i := range s.Tasks {
		ts := &s.Tasks[i]
		timers := 0
		for _, t := range s.Timers {
			if t.Of == ts.ID && (t.Kind == TimerRetry || t.Kind == TimerSleep) {
				timers++
			}
		}
		switch {
		case ts.Run < 1:
			return fmt.Errorf("task %q never ran", ts.ID)
		case ts.Status == Running && (ts.Request == nil || ts.Attempt < 1 || ts.TimeoutMS < 1):
			return fmt.Errorf("task %q runs without a request", ts.ID)
		case ts.Status != Running && ts.Status != Pending && ts.Request != nil:
			return fmt.Errorf("task %q is %s and keeps its request", ts.ID, ts.Status)
		case (ts.Status == Pending) != (timers == 1):
			return fmt.Errorf("task %q is %s with %d timers", ts.ID, ts.Status, timers)
		}
	}
	return nil
}

func checkBuffer(s *State) error {
	if len(s.Buffer) > MaxBuffered {
		return fmt.Errorf("it keeps %d signals, more than %d", len(s.Buffer), MaxBuffered)
	}
	kept := make(map[string]bool, len(s.Buffer))
	for _, b := range s.Buffer {
		if kept[b.ID] {
			return fmt.Errorf("signal %s is kept twice", b.ID)
		}
		kept[b.ID] = true
		if slices.Contains(s.Recent, b.ID) {
			return fmt.Errorf("signal %s was applied and is still kept", b.ID)
		}
		if b.Minted {
			return fmt.Errorf("signal %s is kept and marked as new", b.ID)
		}
		if b.Taken && !b.Transient {
			return fmt.Errorf("signal %s was taken and is still kept", b.ID)
		}
		if b.Transient && !s.Paused && len(b.Busy) == 0 && !slices.ContainsFunc(s.Waits, func(w OpenWait) bool { return w.Judging == b.ID }) {
			return fmt.Errorf("event %s is kept and no processor works on it", b.ID)
		}
	}
	if !s.Paused && len(s.Held) > 0 {
		return fmt.Errorf("it holds %d results back without being paused", len(s.Held))
	}
	return nil
}

// Working reports whether Outstanding has anything to return.
func Working(s *State) bool {
	for i := range s.Tasks {
		if s.Tasks[i].Status == Running && !held(s, s.Tasks[i].ID) {
			return true
		}
	}
	return false
}

// held reports whether the result of the task's attempt has come while paused.
func held(s *State, task string) bool {
	return slices.ContainsFunc(s.Held, func(h HeldInput) bool { return h.task() == task })
}

// Outstanding returns the effects that the state still waits for: after a load, the
// driver performs them again, under the same keys.
func Outstanding(def *Definition, s *State) []Effect {
	var effects []Effect
	for i := range s.Tasks {
		ts := &s.Tasks[i]
		if ts.Status != Running || held(s, ts.ID) {
			continue
		}
		if task := def.Task(ts.ID); task != nil && task.Work != nil {
			effects = append(effects, runTask(s, task, ts))
		}
	}
	return effects
}
