package workflow

import "slices"

// Forecast is what an input would do to an execution, made from the transition
// that Advance gives for it on a copy. Nothing of it has happened.
type Forecast struct {
	ExecID     string
	WorkflowID string
	Was        Status // "" when there is no such execution
	Status     Status // afterwards
	Refusal    *Refusal
	Known      bool    // it was accepted before: nothing would change
	Answer     *Answer // what the sender of a signal would hear
	Started    bool    // an execution would come to life

	Opinions []Opinion    // what each open wait of the signal's name makes of it
	Records  []Record     // what the history would say, in order
	Runs     []RunTask    // work that would be asked for; secrets are masked in its requests
	Stops    []CancelTask // work that would be interrupted
	Emits    []Event      // events that would be sent
	Armed    []Timer      // timers that would be armed
	Opened   []OpenWait   // waits that would open and stay open
	Closed   []OpenWait   // waits that would close
	Output   Value        // of the execution, when it would end well
	Error    *Failure     // and otherwise

	Takes []TakeForecast // kept events that would be taken then by waits which it opens
	More  bool           // there are more of them than were looked at
}

// Foretell makes the forecast of a transition: from the state before, nil for
// none, to the state after, with its records and effects.
func Foretell(was, now *State, records []Record, effects []Effect) Forecast {
	var f Forecast
	if was != nil {
		f.ExecID, f.WorkflowID, f.Was, f.Status = was.ExecID, was.WorkflowID, was.Status, was.Status
	}
	if now == nil {
		return f
	}
	f.ExecID, f.WorkflowID, f.Status, f.Records = now.ExecID, now.WorkflowID, now.Status, records
	f.Started = was == nil
	for _, effect := range effects {
		switch e := effect.(type) {
		case RunTask:
			f.Runs = append(f.Runs, e)
		case CancelTask:
			f.Stops = append(f.Stops, e)
		case EmitEvent:
			f.Emits = append(f.Emits, e.Event)
		}
	}
	before := was
	if before == nil {
		before = new(State)
	}
	for _, timer := range now.Timers {
		if !slices.Contains(before.Timers, timer) {
			f.Armed = append(f.Armed, timer)
		}
	}
	for i := range now.Waits {
		if before.Wait(now.Waits[i].ID) == nil {
			f.Opened = append(f.Opened, now.Waits[i])
		}
	}
	for i := range before.Waits {
		if now.Wait(before.Waits[i].ID) == nil {
			f.Closed = append(f.Closed, before.Waits[i])
		}
	}
	if now.Status.Finished() {
		f.Output, f.Error = now.Result(), now.Error
	}
	return f
}

// EventForecast is what an event would do.
type EventForecast struct {
	EventID    string
	Refusal    *Refusal
	Stored     *EventReceipt // of the event that was accepted before under this id: nothing would change
	Fate       Fate          // consumed when somebody would take it, buffered while it would be kept, or dead
	Reason     string
	Deliveries []DeliveryForecast
	Passed     []DeliveryForecast // open waits that would not take it, with the reason
	Takes      []TakeForecast     // kept events that would be taken by waits which it opens
	More       bool               // there are more waits or kept events than were looked at
}

// DeliveryForecast is what one listener would do with an event.
type DeliveryForecast struct {
	Delivery
	Forecast *Forecast // of the execution that it would start or wake; nil when it would do neither, and beside all but one wait of it
}

// TakeForecast is a kept event that an execution would take.
type TakeForecast struct {
	EventID string
	DeliveryForecast
}
