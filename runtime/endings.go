package runtime

import (
	"slices"

	"github.com/signalbox/signalbox/workflow"
)

// endings follows, along the records of a turn, which tasks end well. The result of one
// that comes while the execution is paused is held, and ends its task when the execution
// goes on, if it ever does.
type endings struct {
	paused bool
	held   []string // tasks whose results are
}

func endingsAfter(was *workflow.State) (e endings) {
	if was == nil || !was.Paused {
		return e
	}
	e.paused = true
	for _, h := range was.Held {
		if h.Done != nil {
			e.held = append(e.held, h.Done.Task)
		}
	}
	return e
}

// follow is how many tasks ended well with the first of the records.
func (e *endings) follow(records []workflow.Record) (well int) {
	switch r := &records[0]; r.Type {
	case workflow.PauseAsked{}.Kind():
		e.paused = true
	case workflow.ResumeAsked{}.Kind():
		held := e.held
		*e = endings{}
		return len(slices.DeleteFunc(held, func(task string) bool { return endedBadly(records, task) }))
	case workflow.TaskDone{}.Kind():
		switch {
		case e.paused:
			e.held = append(e.held, r.Task)
		case len(records) == 1 || records[1].Type != workflow.TaskEnded || records[1].Task != r.Task:
			return 1 // and its outputs could be made
		}
	case workflow.TaskEnded:
		e.held = slices.DeleteFunc(e.held, func(task string) bool { return task == r.Task })
	}
	return 0
}

// endedBadly reports whether a run of a task that was under way ended badly: what is said
// of the task after it has begun once more is of another run.
func endedBadly(records []workflow.Record, task string) bool {
	for i := range records {
		if records[i].Task != task {
			continue
		}
		switch records[i].Type {
		case workflow.TaskEnded:
			return true
		case workflow.TaskStarted, workflow.TaskSleeping, workflow.TaskSkipped:
			return false
		}
	}
	return false
}
