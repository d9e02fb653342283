package persistence

import "github.com/signalbox/signalbox/workflow"

// Listing is what the listing indexes know about an execution.
type Listing struct {
	WorkflowID string
	Status     workflow.Status
	CreatedAt  workflow.Instant
}

// Changes is what one commit does to the indexes. It is derived from the state
// before and the state after alone, so that a store needs to read nothing to
// keep its indexes exact, and so that every store keeps the same ones.
type Changes struct {
	Was, Now Listing // where the execution is listed; the zero Listing when it does not exist
	Moved    bool    // the two differ

	Closed []workflow.OpenWait // rows of waits to drop
	Opened []workflow.OpenWait // rows of waits to write, new ones and changed ones
	Redone bool                // some of Opened are changed ones, which have rows
	Waits  int                 // how many more waits are open than before; negative for fewer

	Rejudged []string // names of waits that stay, and whose condition may say something else now

	Disarmed []workflow.Timer // timers to drop
	Armed    []workflow.Timer // timers to write

	Unkeyed, Keyed     string           // business keys to list the execution under no longer, and from now on; "" for none
	Unlabeled, Labeled []workflow.Label // the same for labels
	Released, Claimed  string           // unique keys of its workflow that it gives back, and that it must get; "" for none

	Finished   workflow.Instant // the moment to add to the index of finished ones; zero for none
	Unfinished workflow.Instant // the moment to drop from it; zero for none
}

// Derive sets c to the changes from was to now, reusing its slices. A nil state
// is one that does not exist, so that a nil now undoes everything.
func (c *Changes) Derive(was, now *workflow.State) {
	var before, after indexed
	before.of(was)
	after.of(now)

	c.Was, c.Now = before.listing, after.listing
	c.Moved = c.Was != c.Now
	c.Closed = without(c.Closed[:0], before.waits, after.waits, sameWait)
	c.Opened = without(c.Opened[:0], after.waits, before.waits, equalWait)
	c.Redone = anyOf(c.Opened, before.waits, sameWait)
	c.Waits = len(after.waits) - len(before.waits)
	c.Rejudged = rejudged(c.Rejudged[:0], was, now)
	c.Disarmed = without(c.Disarmed[:0], before.alarms, after.alarms, sameTimer)
	c.Armed = without(c.Armed[:0], after.alarms, before.alarms, sameTimer)
	c.Unkeyed, c.Keyed = moved(before.key, after.key)
	c.Released, c.Claimed = moved(before.claim, after.claim)
	c.Unlabeled = without(c.Unlabeled[:0], before.labels, after.labels, equalLabel)
	c.Labeled = without(c.Labeled[:0], after.labels, before.labels, equalLabel)
	c.Finished, c.Unfinished = 0, 0
	if before.finished != after.finished {
		c.Finished, c.Unfinished = after.finished, before.finished
	}
}

// rejudged appends the names of the waits that a change of context may concern.
func rejudged(dst []string, was, now *workflow.State) []string {
	if was == nil || now == nil || was.Context == now.Context {
		return dst
	}
	for i := range now.Waits {
		if now.Waits[i].Condition != "" {
			dst = append(dst, now.Waits[i].Name)
		}
	}
	return dst
}

// indexed is the part of a state that indexes are made of.
type indexed struct {
	listing  Listing
	waits    []workflow.OpenWait
	alarms   []workflow.Timer
	key      string
	claim    string // its key while nobody else may have it
	labels   []workflow.Label
	finished workflow.Instant
}

func (x *indexed) of(s *workflow.State) {
	if s == nil {
		return
	}
	x.listing = Listing{WorkflowID: s.WorkflowID, Status: s.Status, CreatedAt: s.CreatedAt}
	x.waits = s.Waits
	x.alarms = s.Alarms()
	x.key, x.labels = s.Key, s.Labels
	if s.Status.Finished() {
		x.finished = s.FinishedAt
	} else if s.Unique {
		x.claim = s.Key
	}
}

// moved returns what a text was and what it becomes; nothing when it stays.
func moved(was, now string) (string, string) {
	if was == now {
		return "", ""
	}
	return was, now
}

// sameWait reports whether two waits have the same rows; equalWait whether the
// rows say the same.
func sameWait(a, b *workflow.OpenWait) bool {
	return a.ID == b.ID && a.Name == b.Name && a.Path == b.Path && a.Key == b.Key
}
func equalWait(a, b *workflow.OpenWait) bool { return *a == *b }

func equalLabel(a, b *workflow.Label) bool { return *a == *b }

func sameTimer(a, b *workflow.Timer) bool { return a.ID == b.ID && a.Due == b.Due }

// without appends to dst the items of a that are not in b. Both keep their order
// from one state to the next, so it looks where the next one should be first,
// and a change among a thousand timers costs one search and not a million.
func without[T any](dst, a, b []T, same func(x, y *T) bool) []T {
	next := 0
	for i := range a {
		if next < len(b) && same(&a[i], &b[next]) {
			next++
			continue
		}
		found := false
		for j := range b {
			if same(&a[i], &b[j]) {
				next, found = j+1, true
				break
			}
		}
		if !found {
			dst = append(dst, a[i])
		}
	}
	return dst
}

// anyOf reports whether any item of a is in b.
func anyOf[T any](a, b []T, same func(x, y *T) bool) bool {
	for i := range a {
		for j := range b {
			if same(&a[i], &b[j]) {
				return true
			}
		}
	}
	return false
}

// Accepted is the receipt that an event gets when it is written.
func Accepted(ev workflow.Event) *workflow.EventReceipt {
	return &workflow.EventReceipt{
		Event: ev,
		Fate:  workflow.FateAccepted,
		Steps: []workflow.Step{{At: ev.ReceivedAt, What: "accepted"}},
	}
}

// CodeCorrupt is the error code of an execution that is listed although its
// stored bytes are damaged.
const CodeCorrupt = "CORRUPT"

// Damaged is how a listing shows an execution whose stored bytes are damaged:
// what its index entry still says, the status FAILED and the cause.
func Damaged(l Listing, c *Corrupt) *workflow.State {
	return &workflow.State{
		ExecID:     c.ExecID,
		WorkflowID: l.WorkflowID,
		Status:     workflow.Failed,
		CreatedAt:  l.CreatedAt,
		Error:      &workflow.Failure{Code: CodeCorrupt, Message: c.Error()},
	}
}
