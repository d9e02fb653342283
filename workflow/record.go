package workflow

import (
	"encoding/json"
	"fmt"
)

// Record is one line of an execution's history. A record whose Type is the kind
// of an Input carries that input in Data, so that folding Advance over the
// inputs of a history gives the state again; the others say what followed.
type Record struct {
	Seq    uint64  `json:"seq"`
	At     Instant `json:"at"`
	Type   string  `json:"type"`
	Task   string  `json:"task,omitempty"`
	Wait   string  `json:"wait,omitempty"`   // also the one that a processor works for
	Signal string  `json:"signal,omitempty"` // id of the signal it is about
	Reason string  `json:"reason,omitempty"`
	Data   Value   `json:"data,omitempty"`
}

// The types of records that follow from an input.
const (
	TaskStarted       = "task.started"
	TaskSkipped       = "task.skipped"
	TaskRetrying      = "task.retrying"
	TaskSleeping      = "task.sleeping"
	TaskEnded         = "task.ended" // not well: failed, timed out or canceled
	WaitOpened        = "wait.opened"
	WaitSatisfied     = "wait.satisfied"
	WaitTimedOut      = "wait.timed_out"
	WaitVetoed        = "wait.vetoed"
	WaitExtended      = "wait.extended" // its deadline moved, because of a signal
	WaitReminded      = "wait.reminded"
	WaitClosed        = "wait.closed" // by another branch, by cancel or by the end of the execution
	SignalBuffered    = "signal.buffered"
	SignalJudged      = "signal.judged" // and refused, with the reason
	SignalConsumed    = "signal.consumed"
	SignalExpired     = "signal.expired"
	SignalDead        = "signal.dead"
	EventEmitted      = "event.emitted"
	ExecutionFinished = "execution.finished"
	HistoryFolded     = "history.folded" // stands for the records before it, which were dropped
)

// IsInput reports whether the record carries an input, so that a new transition
// begins with it.
func (r *Record) IsInput() bool {
	switch r.Type {
	case Started{}.Kind(), Signalled{}.Kind(), TimerFired{}.Kind(), TaskDone{}.Kind(), TaskFailed{}.Kind(),
		PauseAsked{}.Kind(), ResumeAsked{}.Kind(), CancelAsked{}.Kind(), DeadlineMoved{}.Kind():
		return true
	}
	return false
}

// EndStatus is how a task ended of which a record of the type TaskEnded tells.
func (r *Record) EndStatus() Status {
	var end finished
	if len(r.Data) == 0 || json.Unmarshal(r.Data, &end) != nil || end.Status == "" {
		return Canceled // one that was stopped has a reason and no data
	}
	return end.Status
}

// Input decodes the input that the record carries, or nil for a record that
// only says what followed from one.
func (r Record) Input() (Input, error) {
	var in Input
	var err error
	switch r.Type {
	case Started{}.Kind():
		in, err = decode[Started](r.Data)
	case Signalled{}.Kind():
		in, err = decode[Signalled](r.Data)
	case TimerFired{}.Kind():
		in, err = decode[TimerFired](r.Data)
	case TaskDone{}.Kind():
		in, err = decode[TaskDone](r.Data)
	case TaskFailed{}.Kind():
		in, err = decode[TaskFailed](r.Data)
	case PauseAsked{}.Kind():
		in, err = decode[PauseAsked](r.Data)
	case ResumeAsked{}.Kind():
		in, err = decode[ResumeAsked](r.Data)
	case CancelAsked{}.Kind():
		in, err = decode[CancelAsked](r.Data)
	case DeadlineMoved{}.Kind():
		in, err = decode[DeadlineMoved](r.Data)
	default:
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("record %d, %s: %w", r.Seq, r.Type, err)
	}
	return in, nil
}

func decode[T Input](data Value) (Input, error) {
	var in T
	err := json.Unmarshal(data, &in)
	return in, err
}
