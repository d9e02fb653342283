package chaos

import (
	"context"
	"fmt"
)

// Book is what the node's books say of the messages of one name.
type Book struct {
	Name                                        string
	Accepted, Consumed, Buffered, Expired, Dead int
}

// The names of what the clients send.
const (
	signalName = "tick"
	eventName  = "chaos.event"
)

// books reads the node's books until no message of the clients is under way any
// more, or settle ends.
func (a api) books(ctx, settle context.Context) (map[string]Book, error) {
	for {
		var data struct {
			Rows []Book `json:"rows"`
		}
		if err := a.call(ctx, "GET", "/api/v0/books", nil, &data); err != nil {
			return nil, err
		}
		rows := make(map[string]Book, len(data.Rows))
		for _, row := range data.Rows {
			rows[row.Name] = row
		}
		if rows[signalName].Buffered+rows[eventName].Buffered == 0 || settle.Err() != nil {
			return rows, nil
		}
		pause(settle, settleEvery, nil)
	}
}

// balance holds the books against themselves and against what else the node
// says: each accepted message has one fate, and every one is counted once.
func (v *Verdict) balance(e *Evidence, seen map[string]*tally) {
	for _, b := range e.Books {
		if b.Accepted != b.Consumed+b.Buffered+b.Expired+b.Dead {
			v.Disagreed = append(v.Disagreed, fmt.Sprintf("the books of %q do not balance: %+v", b.Name, b))
		}
	}
	accepted := 0
	for _, t := range seen {
		accepted += t.accepted
	}
	for name, want := range map[string]int{signalName: accepted, eventName: len(e.Triggered)} {
		if b := e.Books[name]; b.Accepted != want || b.Consumed != want {
			v.Disagreed = append(v.Disagreed, fmt.Sprintf("the books of %q say %+v, and the histories %d accepted and consumed", name, b, want))
		}
	}
}
