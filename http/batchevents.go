package http

import (
	"github.com/signalbox/signalbox/workflow"
)

// sendEvents takes events in any number.
func (x *exchange) sendEvents(dry bool) error {
	if err := x.noKeyForMany("event_id"); err != nil {
		return err
	}
	b := &eventBatch{batch: batch{x: x, lines: x.format == formatLines}}
	if dry {
		return b.foresee()
	}
	b.begin()
	if err := b.items(b.take, b.flush); err != nil {
		return err
	}
	b.send()
	return nil
}

// eventBatch gathers events until a piece of them is accepted.
type eventBatch struct {
	batch
	events []workflow.Event
	broken []error // of each item gathered, nil for one that became an event
}

func (b *eventBatch) take(m members, err error) {
	var event workflow.Event
	if err == nil {
		event, err = b.x.eventItem(&m)
	}
	b.broken = append(b.broken, err)
	if err == nil {
		b.events = append(b.events, event)
	}
}

// flush accepts what has gathered and writes the results.
func (b *eventBatch) flush() error {
	var results []workflow.EventResult
	if len(b.events) > 0 {
		results = b.x.server.node.Events(b.x.context(), b.events)
	}
	events := b.events
	for _, broken := range b.broken {
		err := broken
		if broken == nil {
			var known bool
			known, err = acceptedAs(&events[0], &results[0])
			if err == nil {
				b.result(202)
				b.out.b = append(b.out.b, `,"data":`...)
				b.out.b = appendEventData(b.out.b, events[0].ID, known)
				b.close()
			}
			events, results = events[1:], results[1:]
		}
		if err != nil {
			if err := b.problem(err); err != nil {
				return err
			}
		}
	}
	b.events, b.broken = b.events[:0], b.broken[:0]
	return nil
}

// acceptedAs says whether an event was accepted before, or why it is refused.
func acceptedAs(event *workflow.Event, r *workflow.EventResult) (known bool, err error) {
	if r.Err != nil {
		return false, r.Err
	}
	if r.Known {
		return true, sameBody(event, r.Stored)
	}
	return false, nil
}
